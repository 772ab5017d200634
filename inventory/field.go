package inventory

import (
	"math/bits"
	"strings"
	"unicode"
)

// field is one of the names that the short form knows.
type field uint8

// The fields. Those of a line come first: see lineFields.
const (
	fieldSKU field = iota
	fieldLocation
	fieldQuantity
	fieldIfVersion
	fieldID
	fieldKind
	fieldSource
	fieldTenant
	fieldReason
	fieldTime
	fieldLines
	fieldCondition
	fieldCountedAt
	fieldReservation
	fieldExpiresAt
	fieldTTL
	fieldTo
	fieldTransfer
	fieldName
	fieldUnit
	fieldBackorder
	fieldBackorderLimit
	fieldLowStock
	fieldBundle
	fields // how many there are; no field

	lineFields = fieldID // how many of them a line has
)

// fieldNames are the fields as they stand on the wire.
var fieldNames = [fields]string{
	fieldSKU:            "sku",
	fieldLocation:       "location",
	fieldQuantity:       "quantity",
	fieldIfVersion:      "if_version",
	fieldID:             "id",
	fieldKind:           "kind",
	fieldSource:         "source",
	fieldTenant:         "tenant",
	fieldReason:         "reason",
	fieldTime:           "time",
	fieldLines:          "lines",
	fieldCondition:      "condition",
	fieldCountedAt:      "counted_at",
	fieldReservation:    "reservation",
	fieldExpiresAt:      "expires_at",
	fieldTTL:            "ttl",
	fieldTo:             "to",
	fieldTransfer:       "transfer",
	fieldName:           "name",
	fieldUnit:           "unit",
	fieldBackorder:      "backorder",
	fieldBackorderLimit: "backorder_limit",
	fieldLowStock:       "low_stock",
	fieldBundle:         "bundle",
}

func (f field) String() string { return fieldNames[f] }

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
	case `"lines"`:
		return fieldLines, true
	default:
		return rarerFieldQuoted(name)
	}
}

// rarerFieldQuoted is fieldQuoted for the fields that few events have.
func rarerFieldQuoted(name []byte) (field, bool) {
	switch string(name) {
	case `"condition"`:
		return fieldCondition, true
	case `"counted_at"`:
		return fieldCountedAt, true
	case `"reservation"`:
		return fieldReservation, true
	case `"expires_at"`:
		return fieldExpiresAt, true
	case `"ttl"`:
		return fieldTTL, true
	case `"to"`:
		return fieldTo, true
	case `"transfer"`:
		return fieldTransfer, true
	case `"name"`:
		return fieldName, true
	case `"unit"`:
		return fieldUnit, true
	case `"backorder"`:
		return fieldBackorder, true
	case `"backorder_limit"`:
		return fieldBackorderLimit, true
	case `"low_stock"`:
		return fieldLowStock, true
	case `"bundle"`:
		return fieldBundle, true
	default:
		return 0, false
	}
}

// isNumber says whether f's value is an integer; lines and bundle have arrays, all others texts.
func (f field) isNumber() bool { return numbers.has(f) }

// fieldSet is a set of fields, a bit each.
type fieldSet uint32

func (s fieldSet) has(f field) bool { return s>>f&1 != 0 }

// first returns the first field of s, which must have one.
func (s fieldSet) first() field { return field(bits.TrailingZeros32(uint32(s))) }

// Sets of fields that belong together.
const (
	numbers fieldSet = 1<<fieldQuantity | 1<<fieldIfVersion | 1<<fieldTTL | 1<<fieldBackorderLimit | 1<<fieldLowStock

	ofAnyEvent fieldSet = 1<<fieldID | 1<<fieldKind | 1<<fieldSource | 1<<fieldTenant | 1<<fieldTime | 1<<fieldReason

	ofLine     fieldSet = 1<<lineFields - 1
	ofGot      fieldSet = 1<<fieldSKU | 1<<fieldQuantity // a line whose place the transfer says; also a part of a bundle
	ofMovement fieldSet = ofAnyEvent | ofLine | 1<<fieldLines

	// ofEnvelope are the fields that CloudEvents have outside of their data.
	ofEnvelope fieldSet = 1<<fieldID | 1<<fieldKind | 1<<fieldSource | 1<<fieldTime
)

// fields returns those that have a meaning for k.
func (k Kind) fields() fieldSet {
	switch k {
	case Received, Sold:
		return ofMovement
	case Returned, Adjusted:
		return ofMovement | 1<<fieldCondition
	case Counted:
		return ofMovement | 1<<fieldCondition | 1<<fieldCountedAt
	case Reserved:
		return ofMovement | 1<<fieldReservation | 1<<fieldExpiresAt | 1<<fieldTTL
	case Released, Fulfilled:
		return ofMovement | 1<<fieldReservation
	case Transferred:
		return ofMovement | 1<<fieldTo | 1<<fieldTransfer
	case TransferReceived:
		return ofAnyEvent | ofGot | 1<<fieldLines | 1<<fieldTransfer
	case Defined:
		return ofAnyEvent | 1<<fieldSKU | 1<<fieldName | 1<<fieldUnit | 1<<fieldBackorder | 1<<fieldBackorderLimit |
			1<<fieldLowStock | 1<<fieldBundle
	default:
		return ofAnyEvent
	}
}

// lineFields returns those that a line of an event of kind k may have.
func (k Kind) lineFields() fieldSet { return k.fields() & ofLine }

// needsLines says whether an event of kind k must name what it moves. The others have a reservation or a transfer,
// which says it if the event does not.
func (k Kind) needsLines() bool {
	switch k {
	case Reserved, Released, Fulfilled, TransferReceived:
		return false
	default:
		return true
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
