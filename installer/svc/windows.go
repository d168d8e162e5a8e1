package svc

import (
	"fmt"
	"strings"
)

// windows returns PowerShell that does what Install does: a delayed automatic
// start under the service's own virtual account, no privileges beyond the one
// every service needs, restarts after a failure, and a state directory that
// only the account and administrators can open.
func windows(c Config, p place) string {
	var words []string
	for _, w := range append([]string{p.executable}, p.arguments...) {
		words = append(words, windowsWord(w))
	}
	// A path with blanks must be quoted even where it needs no escape: an
	// unquoted service path lets another program take its place.
	if !strings.HasPrefix(words[0], `"`) {
		words[0] = `"` + words[0] + `"`
	}
	name := powershell(c.Name)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("#Requires -RunAsAdministrator")
	line("$ErrorActionPreference = 'Stop'")
	line("$name    = %s", name)
	line("$account = %s", powershell(p.user))
	line("$state   = %s", powershell(p.state))
	line("$command = %s", powershell(strings.Join(words, " ")))
	line("")
	line("New-Service -Name $name -BinaryPathName $command -DisplayName %s -Description %s -StartupType Automatic | Out-Null",
		powershell(c.DisplayName), powershell(c.Description))
	line("sc.exe config $name start= delayed-auto obj= $account | Out-Null")
	line("sc.exe sidtype $name unrestricted | Out-Null")
	line("sc.exe privs $name SeChangeNotifyPrivilege | Out-Null")
	line("sc.exe failure $name reset= 86400 actions= restart/10000/restart/10000/restart/60000 | Out-Null")
	line("")
	line("New-Item -ItemType Directory -Force -Path $state | Out-Null")
	line("icacls.exe $state /inheritance:r /grant:r \"${account}:(OI)(CI)F\" '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' | Out-Null")
	line("")
	line("# Start-Service $name")
	return b.String()
}

// powershell quotes a literal string.
func powershell(v string) string { return "'" + strings.ReplaceAll(v, "'", "''") + "'" }

// windowsWord escapes one argument as CommandLineToArgvW reads it: backslashes
// count only before a quote.
func windowsWord(w string) string {
	if w != "" && !strings.ContainsAny(w, " \t\"") {
		return w
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for i := 0; i < len(w); i++ {
		switch w[i] {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteByte(w[i])
	}
	b.WriteString(strings.Repeat(`\`, slashes) + `"`)
	return b.String()
}
