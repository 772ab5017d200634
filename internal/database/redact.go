package database

import "regexp"

const mask = "xxxxx"

var (
	// Everything up to the last @ of the line: a password may hold any character, and hiding too much harms nobody.
	userinfo = regexp.MustCompile(`(://[^:/@\s]*):[^\n]*@`)
	// URL parameters end at the next &.
	queryPassword = regexp.MustCompile(`(?i)([?&](?:ssl)?password=)[^&\s]*`)
	// Keyword/value: quoted (an unbalanced quote reaches to the end), or up to a space that no backslash escapes.
	keywordPassword = regexp.MustCompile(`(?i)(^|[^?&\w])((?:ssl)?password\s*=\s*)` +
		`(?:'(?:\\.|[^'\\])*(?:'|$)|(?:\\.|[^\s\\'])(?:\\.|[^\s\\])*)`)
)

// Redact hides passwords in text that may hold a connection string in either form, or several. It rather hides too
// much than too little. What it returns is for people to read, not to connect with.
func Redact(text string) string {
	text = userinfo.ReplaceAllString(text, "${1}:"+mask+"@")
	text = queryPassword.ReplaceAllString(text, "${1}"+mask)
	return keywordPassword.ReplaceAllString(text, "${1}${2}"+mask)
}
