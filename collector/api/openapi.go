package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

type object = map[string]any

// describe writes the OpenAPI 3.1 document of the table.
func describe(routes []Route) ([]byte, error) {
	schemas := object{"Problem": schemaOf(reflect.TypeOf(problem{}))}
	paths := object{}
	for _, r := range routes {
		name := ""
		if r.row != nil {
			t := reflect.TypeOf(r.row)
			name = strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
			schemas[name] = schemaOf(t)
		}
		paths[r.Path] = object{"get": operation(r, "", answer(r, name))}
		if r.list {
			csv := object{"description": "CSV, all pages; text that begins a formula has an apostrophe before it", "content": object{"text/csv": object{"schema": object{"type": "string"}}}}
			paths[r.Path+".csv"] = object{"get": operation(r, "Csv", csv)}
		}
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{"title": "Fieldpost collector", "version": "1",
			"description": "What installations told, as intervals with their form: exact (lo = hi), band (lo ≤ figure ≤ hi; no hi: open top), share, implied, noised, suppressed (withheld: no numbers), unknown (not told: never zero). Sums are over those that told something and say how many did.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"token": []string{}}, object{"session": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas": schemas,
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer", "description": "An API token, made under Settings; scope read."},
				"session": object{"type": "apiKey", "in": "cookie", "name": "__Host-fieldpost"},
			},
			"responses": object{"Problem": object{"description": "What happened, and what to do", "content": object{"application/json": object{"schema": ref("Problem")}}}},
		},
	}
	return json.MarshalIndent(doc, "", " ")
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func answer(r Route, name string) object {
	switch {
	case r.binary:
		return object{"description": "The bytes", "content": object{"application/octet-stream": object{"schema": object{"type": "string", "format": "binary"}}}}
	case r.list:
		return object{"description": "A page", "content": object{"application/json": object{"schema": object{"type": "object", "required": []string{"rows"}, "properties": object{
			"rows":  object{"type": "array", "items": ref(name)},
			"next":  object{"type": "string", "description": "Cursor of the next page; absent at the end."},
			"total": object{"type": "integer", "description": "Rows of all pages, where they are counted."},
		}}}}}
	}
	return object{"description": "The row", "content": object{"application/json": object{"schema": ref(name)}}}
}

func operation(r Route, suffix string, ok object) object {
	var params []any
	for _, p := range r.Params {
		params = append(params, parameter(p))
	}
	op := object{"operationId": operationID(r.Path) + suffix, "summary": r.Summary, "x-role": string(r.Need),
		"responses": object{"200": ok, "default": object{"$ref": "#/components/responses/Problem"}}}
	if len(params) > 0 {
		op["parameters"] = params
	}
	return op
}

func parameter(p Param) object {
	s := object{"type": "string"}
	switch p.Kind {
	case "integer":
		s = object{"type": "integer", "minimum": 0}
	case "date":
		s = object{"type": "string", "examples": []string{"2026-01-31"}}
	}
	if len(p.Enum) > 0 {
		s["enum"] = p.Enum
	}
	if p.Many {
		s = object{"type": "array", "items": s}
	}
	o := object{"name": p.Name, "in": p.In, "description": p.Text, "schema": s}
	if p.In == "path" {
		o["required"] = true
	}
	return o
}

// operationID is the path in camel case: /api/v1/accounts/{key} → accountsByKey.
func operationID(path string) string {
	var b strings.Builder
	for _, part := range strings.Split(strings.TrimPrefix(path, "/api/v1/"), "/") {
		by := strings.HasPrefix(part, "{")
		part = strings.Trim(part, "{}")
		if b.Len() > 0 {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		if by {
			part = "By" + part
		}
		b.WriteString(part)
	}
	return b.String()
}

func schemaOf(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		props, required := object{}, []string{}
		structOf(t, props, &required)
		return object{"type": "object", "properties": props, "required": required}
	}
	return object{"type": "string"}
}

func structOf(t reflect.Type, props object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			structOf(f.Type, props, required)
			continue
		}
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := schemaOf(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			s["description"] = doc
		}
		props[name] = s
		if opts != "omitempty" {
			*required = append(*required, name)
		}
	}
}
