package svc

import (
	"path"
	"strings"
)

// systemd returns the unit. Each line of confinement is one that a Go program
// with listening sockets above 1024 can live with; what it leaves open is the
// network (the collector's address is the customer's to choose) and its state.
func systemd(c Config, p place) string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("[Unit]")
	line("Description=", systemdValue(c.Description))
	if c.Documentation != "" {
		line("Documentation=", systemdValue(c.Documentation))
	}
	line("Wants=network-online.target")
	line("After=network-online.target")
	line("StartLimitIntervalSec=300")
	line("StartLimitBurst=10")
	line("")
	line("[Service]")
	line("Type=exec")
	line("ExecStart=", p.commandLine())
	line("# HTTPS_PROXY, NO_PROXY and FIELDPOST_... settings, if the file exists")
	line("EnvironmentFile=-/etc/default/", c.Name)
	line("Restart=on-failure")
	line("RestartSec=10")
	line("# 2 is wrong use: starting again would not mend it")
	line("RestartPreventExitStatus=2")
	line("TimeoutStopSec=30")
	if c.Credential != "" {
		line("# put the secret into /etc/credstore; a missing one is no error")
		line("LoadCredential=", systemdValue(c.Credential))
	}
	systemdState(line, p)
	line("")
	line("# What it may use")
	if c.MemoryMax != "" {
		line("MemoryMax=", systemdValue(c.MemoryMax))
	}
	if c.Background {
		line("Nice=10")
		line("CPUWeight=20")
		line("IOWeight=20")
		line("OOMScoreAdjust=500")
	}
	line("TasksMax=512")
	line("")
	line("# What it may do")
	for _, l := range confinement() {
		line(l)
	}
	line("")
	line("[Install]")
	line("WantedBy=multi-user.target")
	return b.String()
}

func systemdState(line func(...string), p place) {
	if p.user == "" {
		line("DynamicUser=yes")
	} else {
		line("User=", systemdValue(p.user))
	}
	state := path.Clean(p.state)
	if rel, ok := strings.CutPrefix(state, "/var/lib/"); ok {
		line("StateDirectory=", systemdWord(rel))
		line("StateDirectoryMode=0700")
		return
	}
	line("ReadWritePaths=", systemdWord(state))
}

func confinement() []string {
	return []string{
		"NoNewPrivileges=yes",
		"CapabilityBoundingSet=",
		"AmbientCapabilities=",
		"UMask=0077",
		"ProtectSystem=strict",
		"ProtectHome=yes",
		"PrivateTmp=yes",
		"PrivateDevices=yes",
		"DevicePolicy=closed",
		"PrivateUsers=yes",
		"ProtectProc=invisible",
		"ProcSubset=pid",
		"ProtectClock=yes",
		"ProtectHostname=yes",
		"ProtectKernelLogs=yes",
		"ProtectKernelModules=yes",
		"ProtectKernelTunables=yes",
		"ProtectControlGroups=yes",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
		"RestrictNamespaces=yes",
		"RestrictRealtime=yes",
		"RestrictSUIDSGID=yes",
		"RemoveIPC=yes",
		"KeyringMode=private",
		"LockPersonality=yes",
		"MemoryDenyWriteExecute=yes",
		"SystemCallArchitectures=native",
		"SystemCallFilter=@system-service",
		"SystemCallFilter=~@privileged @resources",
		"SystemCallErrorNumber=EPERM",
	}
}

// systemdValue doubles the specifier mark; everything else is literal in a
// plain value.
func systemdValue(v string) string { return strings.ReplaceAll(v, "%", "%%") }

// systemdWord quotes one word of a command line (systemd.service(5), "Command
// lines"): specifiers and variables doubled, C escapes inside double quotes.
func systemdWord(w string) string {
	w = strings.NewReplacer("%", "%%", "$", "$$").Replace(w)
	if w != "" && !strings.ContainsAny(w, " \t\"'\\;") {
		return w
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`
}
