// Package cliout prints what a command found, as a table for people or as JSON for programs.
package cliout

import (
	"encoding/json"
	"io"
)

// Format is the form of what is printed.
type Format string

// The forms.
const (
	Table Format = "table"
	JSON  Format = "json"
)

// Printer writes in one form. Not for concurrent use.
type Printer struct {
	w      io.Writer
	format Format
}

// New returns a printer to w.
func New(w io.Writer, format Format) *Printer { return &Printer{w: w, format: format} }

// Format is the form the printer writes.
func (p *Printer) Format() Format { return p.format }

// Print writes v as indented JSON, or what table puts into a grid.
func (p *Printer) Print(v any, table func(*Grid)) error {
	if p.format == JSON {
		enc := json.NewEncoder(p.w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	var grid Grid
	table(&grid)
	return grid.write(p.w)
}
