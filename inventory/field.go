package inventory

import (
	"strings"
	"unicode"
)

// field is one of the names that the short form knows.
type field uint8

const (
	fieldID field = iota
	fieldKind
	fieldSource
	fieldTenant
	fieldSKU
	fieldLocation
	fieldReason
	fieldTime
	fieldQuantity
	fieldIfVersion
	fieldBackorder
	fieldBackorderLimit
	fieldLines // known, so that it is not passed over as an unknown one: half an event would be applied
	fields     // how many there are; no field
)

func (f field) String() string {
	switch f {
	case fieldID:
		return "id"
	case fieldKind:
		return "kind"
	case fieldSource:
		return "source"
	case fieldTenant:
		return "tenant"
	case fieldSKU:
		return "sku"
	case fieldLocation:
		return "location"
	case fieldReason:
		return "reason"
	case fieldTime:
		return "time"
	case fieldQuantity:
		return "quantity"
	case fieldIfVersion:
		return "if_version"
	case fieldBackorder:
		return "backorder"
	case fieldBackorderLimit:
		return "backorder_limit"
	case fieldLines:
		return "lines"
	default:
		return ""
	}
}

// fieldQuoted returns the field whose name, with the quotes around it, is name. It is on every record's way.
func fieldQuoted(name []byte) (field, bool) {
	switch string(name) {
	case `"id"`:
		return fieldID, true
	case `"kind"`:
		return fieldKind, true
	case `"source"`:
		return fieldSource, true
	case `"tenant"`:
		return fieldTenant, true
	case `"sku"`:
		return fieldSKU, true
	case `"location"`:
		return fieldLocation, true
	case `"reason"`:
		return fieldReason, true
	case `"time"`:
		return fieldTime, true
	case `"quantity"`:
		return fieldQuantity, true
	case `"if_version"`:
		return fieldIfVersion, true
	case `"backorder"`:
		return fieldBackorder, true
	case `"backorder_limit"`:
		return fieldBackorderLimit, true
	case `"lines"`:
		return fieldLines, true
	default:
		return 0, false
	}
}

// maxMisspelt bounds the names that are looked at for a misspelling; no known one is half as long.
const maxMisspelt = 64

// fieldMeant returns the field that name differs from only in case or separators: whoever writes ifVersion means
// if_version, and would not want the event applied without it.
func fieldMeant(name string) (field, bool) {
	if len(name) > maxMisspelt {
		return 0, false
	}
	letters := onlyLetters(name)
	for f := range fields {
		if strings.EqualFold(letters, onlyLetters(f.String())) {
			return f, true
		}
	}
	return 0, false
}

func onlyLetters(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-.:/", r) || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, name)
}
