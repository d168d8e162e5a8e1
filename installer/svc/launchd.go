package svc

import (
	"fmt"
	"strings"
)

// launchd returns the property list of a daemon. launchd cannot confine as
// systemd does; the account, the mask and the background class are what it has.
func launchd(c Config, p place) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
`)
	entry := func(key, value string) { fmt.Fprintf(&b, "\t<key>%s</key>\n\t%s\n", key, value) }
	text := func(v string) string { return "<string>" + xmlText(v) + "</string>" }
	entry("Label", text(c.Name))
	words := []string{"<array>", "\t\t" + text(p.executable)}
	for _, a := range p.arguments {
		words = append(words, "\t\t"+text(a))
	}
	entry("ProgramArguments", strings.Join(append(words, "\t</array>"), "\n"))
	entry("UserName", text(p.user))
	entry("WorkingDirectory", text(p.state))
	entry("Umask", "<integer>63</integer>") // 077
	entry("RunAtLoad", "<true/>")
	entry("KeepAlive", "<dict>\n\t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>")
	entry("ThrottleInterval", "<integer>10</integer>")
	entry("ExitTimeOut", "<integer>30</integer>")
	if c.Background {
		entry("ProcessType", "<string>Background</string>")
		entry("LowPriorityIO", "<true/>")
		entry("Nice", "<integer>10</integer>")
	}
	// The log stands in the state directory, which the account can write.
	entry("StandardErrorPath", text(p.state+"/service.log"))
	entry("StandardOutPath", text(p.state+"/service.log"))
	b.WriteString("</dict>\n</plist>\n")
	return b.String()
}

func xmlText(v string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(v)
}
