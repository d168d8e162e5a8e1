package markup

import "strings"

// knownTag lists the elements a page may hold. None of them has content that is anything
// but HTML or SVG: no script, style, iframe, object, template, foreignObject, use, image.
func knownTag(tag string) bool {
	switch tag {
	case "html", "head", "meta", "title", "body", "main", "nav", "header", "footer", "section", "article", "aside",
		"h1", "h2", "h3", "p", "div", "span", "a", "b", "em", "strong", "small", "code", "pre", "i", "br", "hr", "time", "abbr",
		"ul", "ol", "li", "dl", "dt", "dd", "details", "summary", "figure", "figcaption",
		"table", "caption", "thead", "tbody", "tr", "th", "td",
		"form", "fieldset", "legend", "label", "input", "button", "select", "option",
		"svg", "g", "path", "line", "rect", "circle", "text", "tspan", "defs", "pattern", "desc":
		return true
	}
	return false
}

func isVoid(tag string) bool {
	switch tag {
	case "meta", "link", "br", "hr", "input":
		return true
	}
	return false
}

// inertAttribute lists the attributes whose values no browser runs, loads or follows.
// Addresses have functions of their own.
func inertAttribute(name string) bool {
	switch name {
	case "id", "lang", "dir", "title", "role", "name", "content", "charset", "for", "type", "value", "method", "placeholder",
		"autocomplete", "inputmode", "min", "max", "maxlength", "required", "checked", "selected", "disabled", "open", "hidden", "download",
		"colspan", "rowspan", "scope", "headers", "datetime", "tabindex", "form", "accept-charset",
		"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "dx", "dy", "width", "height", "d", "viewBox", "preserveAspectRatio",
		"vector-effect", "text-anchor", "fill", "opacity", "patternUnits", "patternTransform", "overflow", "focusable":
		return true
	}
	return strings.HasPrefix(name, "aria-") || strings.HasPrefix(name, "data-")
}
