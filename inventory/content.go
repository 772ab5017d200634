package inventory

import (
	"strings"
	"unicode/utf8"

	"onhand/inbox"
)

// form is how a record carries its event.
type form uint8

const (
	shortForm      form = iota // one object with all fields
	structuredMode             // a CloudEvent, whole in the value
	binaryMode                 // a CloudEvent whose attributes are headers; the value is its data
)

// content is what a record's headers say about its value.
type content struct {
	form      form
	mediaType string // as it stands there; empty = none
	isJSON    bool   // it says application/json, or nothing
	hasTrace  bool   // there is a traceparent
}

// Names of headers. They are compared without regard to case, as the libraries that write them do.
const (
	contentTypeHeader = "content-type"
	traceParentHeader = "traceparent"
	attributePrefix   = "ce_"
)

// contentOf reads the headers, and parks what is not for us by its own account. How CloudEvents are told apart:
// CloudEvents, Kafka protocol binding 1.0.2, section 3.
func contentOf(hs []inbox.Header) (content, error) {
	c := content{isJSON: true}
	attributes, typed := false, false
	for _, h := range hs {
		key := string(h.Key)
		switch {
		case !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0:
			return c, inbox.ParkAt("header_not_text", quoted(key), -1)
		case key == traceParentHeader:
			c.hasTrace = true
		case hasPrefixFold(key, attributePrefix):
			attributes = true
		case strings.EqualFold(key, contentTypeHeader):
			if typed && string(h.Value) != c.mediaType {
				return c, inbox.ParkAt("unknown_content_type", "there are two", -1)
			}
			typed, c.mediaType = true, string(h.Value)
		}
	}
	if typed {
		c.isJSON = isUTF8Of("application/json", c.mediaType)
	}
	switch {
	case hasPrefixFold(c.mediaType, "application/cloudevents-batch"):
		return c, inbox.ParkAt("batch_not_supported", "", -1)
	case isUTF8Of("application/cloudevents+json", c.mediaType):
		c.form = structuredMode
	case attributes && !hasPrefixFold(c.mediaType, "application/cloudevents"):
		c.form = binaryMode
	case !c.isJSON:
		return c, inbox.ParkAt("unknown_content_type", quoted(c.mediaType), -1)
	}
	return c, nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// isUTF8Of says whether contentType is mediaType, in UTF-8 if it names an encoding.
func isUTF8Of(mediaType, contentType string) bool {
	name, parameters, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(name), mediaType) {
		return false
	}
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "charset") && !strings.EqualFold(strings.Trim(value, `"`), "utf-8") {
			return false
		}
	}
	return true
}
