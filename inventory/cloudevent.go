package inventory

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"onhand/inbox"
)

// envelope is what a CloudEvent has around the fields of the event. https://github.com/cloudevents/spec, version 1.0.2:
// spec.md, formats/json-format.md and bindings/kafka-protocol-binding.md.
type envelope struct {
	hasData bool
	seen    [attributes]bool // of those that headers may have twice

	version      string // the specversion; empty = none
	versionAt    int
	versionFault error
}

// attribute is one of the attributes of CloudEvents that count here. Others are passed over: they are the producer's
// own, or describe what is known here anyway.
type attribute uint8

const (
	specVersion attribute = iota
	idAttribute
	sourceAttribute
	typeAttribute
	timeAttribute
	dataContentType
	tenantAttribute // an extension of ours
	traceAttribute  // the extension Distributed Tracing
	attributes      // how many there are; no attribute
)

var attributeNames = [attributes]string{
	specVersion:     "specversion",
	idAttribute:     "id",
	sourceAttribute: "source",
	typeAttribute:   "type",
	timeAttribute:   "time",
	dataContentType: "datacontenttype",
	tenantAttribute: "tenant",
	traceAttribute:  "traceparent",
}

// Members of the JSON format that are no attributes.
const (
	dataMember       = "data"
	dataBase64Member = "data_base64"
)

func attributeNamed(name string) (attribute, bool) {
	i := slices.Index(attributeNames[:], name)
	return attribute(max(i, 0)), i >= 0
}

// attributeMeant returns the name of the CloudEvents format that name differs from only in case or separators.
func attributeMeant(name string) (string, bool) {
	if len(name) > maxMisspelt {
		return "", false
	}
	letters := onlyLetters(name)
	for _, known := range append(attributeNames[:], dataMember, dataBase64Member) {
		if strings.EqualFold(letters, onlyLetters(known)) {
			return known, true
		}
	}
	return "", false
}

// field returns the event's field that a is.
func (a attribute) field() (field, bool) {
	switch a {
	case idAttribute:
		return fieldID, true
	case sourceAttribute:
		return fieldSource, true
	case typeAttribute:
		return fieldKind, true
	case timeAttribute:
		return fieldTime, true
	case tenantAttribute:
		return fieldTenant, true
	default:
		return 0, false
	}
}

// readAttribute reads one member of a CloudEvent in JSON.
func (d *draft) readAttribute(r *reader, name []byte) error {
	nameAt := r.offset() - len(name)
	plain, _, err := r.unquote(name)
	if err != nil {
		return err
	}
	if plain == dataMember {
		d.envelope.hasData = true
		at, isObject, err := r.object(func(name []byte) error { return d.readDataField(r, name) })
		if !isObject && err == nil {
			d.blameAt(at, "wrong_type_data", "an object is expected")
		}
		return err
	}
	raw, at, err := r.any()
	if err != nil || string(raw) == "null" { // section 2.2 of the format: as if it were not there
		return err
	}
	a, known := attributeNamed(plain)
	switch {
	case known:
		d.setRawAttribute(a, raw, at)
	case plain == dataBase64Member:
		d.blameAt(nameAt, "data_base64_not_supported", "")
	default:
		if meant, ok := attributeMeant(plain); ok {
			d.blameAt(nameAt, "misspelt_field", quoted(plain)+" for "+meant)
		}
	}
	return nil
}

// setRawAttribute notes an attribute whose value in JSON is raw.
func (d *draft) setRawAttribute(a attribute, raw []byte, at int) {
	name := attributeNames[a]
	switch f, isField := a.field(); {
	case isField:
		name = f.String()
	case a == traceAttribute && raw[0] != '"':
		return // a trace is a help, not part of the event
	case a == specVersion && raw[0] != '"':
		d.envelope.versionFault = inbox.ParkAt("wrong_type_specversion", "a string is expected", at)
		return
	}
	if s, ok := d.text(name, raw, at); ok {
		d.setAttribute(a, s, at)
	}
}

// setAttributes notes the attributes that are headers. Their values are texts as they stand: unlike HTTP's they are not
// percent-encoded. One that is null is none.
func (d *draft) setAttributes(hs []inbox.Header) {
	for _, h := range hs {
		if !hasPrefixFold(string(h.Key), attributePrefix) || h.Value == nil {
			continue
		}
		a, known := attributeNamed(strings.ToLower(string(h.Key[len(attributePrefix):])))
		switch {
		case !known:
		case d.envelope.seen[a]:
			d.blameAt(-1, "duplicate_header", quoted(string(h.Key)))
		case !utf8.Valid(h.Value) || bytes.IndexByte(h.Value, 0) >= 0:
			d.blameAt(-1, "header_not_text", quoted(string(h.Key)))
		default:
			d.envelope.seen[a] = true
			d.setAttribute(a, h.Value, -1)
		}
	}
}

// setAttribute notes an attribute. s may alias the record.
func (d *draft) setAttribute(a attribute, s []byte, at int) {
	if f, ok := a.field(); ok {
		d.checkTenantOnce(f, at)
		d.note(f, at)
		d.setText(f, s, at)
		return
	}
	switch a {
	case specVersion:
		d.envelope.version, d.envelope.versionAt = string(s), at
	case dataContentType:
		if !isUTF8Of("application/json", string(s)) {
			d.blameAt(at, "unknown_datacontenttype", quoted(string(s)))
		}
	case traceAttribute:
		d.traceParent = string(s)
	}
}

// readDataField reads one field of a CloudEvent's data.
func (d *draft) readDataField(r *reader, name []byte) error {
	at := r.offset() - len(name)
	f, known, err := d.fieldNamed(r, name)
	if err != nil {
		return err
	}
	if known && ofEnvelope.has(f) { // which of the two would count?
		d.blameAt(at, "field_not_allowed", f.String()+" in data")
		known = false
	}
	if known {
		d.checkTenantOnce(f, at)
	}
	return d.readValue(r, f, known)
}

func (d *draft) checkTenantOnce(f field, at int) {
	if f == fieldTenant && d.seen.has(f) {
		d.blameAt(at, "tenant_twice", "")
	}
}

// fault tells why a CloudEvent cannot be read at all: in another version its attributes may mean something else.
func (e *envelope) fault() error {
	switch {
	case e.versionFault != nil:
		return e.versionFault
	case e.version == "":
		return inbox.ParkAt("missing_specversion", "", -1)
	case e.version != "1.0":
		return inbox.ParkAt("unknown_specversion", quoted(e.version), e.versionAt)
	}
	return nil
}

// checkEnvelope judges what CloudEvents must have, and the short form need not.
func (d *draft) checkEnvelope() {
	d.required(fieldSource)
	if !d.envelope.hasData {
		d.blameAt(-1, "missing_data", "")
	}
}
