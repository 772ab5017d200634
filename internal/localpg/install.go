package localpg

import (
	"os"
	"runtime"
	"slices"
	"strings"
)

// installers names the command for each family of systems, as /etc/os-release calls them.
var installers = map[string]string{
	"debian": "apt-get install postgresql",
	"ubuntu": "apt-get install postgresql",
	"fedora": "dnf install postgresql-server",
	"rhel":   "dnf install postgresql-server",
	"suse":   "zypper install postgresql-server",
	"alpine": "apk add postgresql",
	"arch":   "pacman -S postgresql",
}

func howToInstall() string {
	const orPoint = ", or point " + binEnv + " at a folder that holds initdb and postgres"
	if runtime.GOOS == "darwin" {
		return "install one with `brew install postgresql@18`" + orPoint
	}
	release, _ := os.ReadFile("/etc/os-release") // without it: the general words
	for _, family := range osFamilies(string(release)) {
		if command, ok := installers[family]; ok {
			return "install one with `" + command + "`" + orPoint
		}
	}
	return "install your system's PostgreSQL server package" + orPoint
}

// osFamilies returns the system's own id, then those it is like, out of the text of an os-release file.
func osFamilies(release string) []string {
	var own, like []string
	for line := range strings.Lines(release) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"'`); name {
		case "ID":
			own = []string{value}
		case "ID_LIKE":
			like = strings.Fields(value)
		}
	}
	return slices.Concat(own, like)
}
