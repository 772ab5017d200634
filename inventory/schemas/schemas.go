// Package schemas has the JSON Schemas (draft 2020-12) of the events that onhand reads, a file a kind, and of
// the messages that it publishes. The Decoder does not use them: they are for those who write events and read
// messages. What it takes, its schema takes as well; what only it can see is in docs/events.md.
package schemas

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.json
var files embed.FS

const extension = ".json"

// Kinds returns the kinds that have a schema, in the order of their bytes.
func Kinds() []string {
	names, err := fs.Glob(files, "*"+extension)
	if err != nil { // cannot be: the pattern is right
		return nil
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, extension)
	}
	return names
}

// Of returns the schema of a kind, and whether there is one.
func Of(kind string) ([]byte, bool) {
	schema, err := files.ReadFile(kind + extension)
	return schema, err == nil
}
