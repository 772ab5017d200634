package inbox

// traceParentHeader is the record header that carries the trace a record belongs to.
const traceParentHeader = "traceparent"

// traceParent is the W3C Trace Context of a record, in the form of version 00, or empty if the record has none. One
// that is malformed counts as none: a trace is a help, not part of the event.
func traceParent(headers []Header) string {
	for _, h := range headers {
		if string(h.Key) == traceParentHeader {
			if value := string(h.Value); validTraceParent(value) {
				return value
			}
			return ""
		}
	}
	return ""
}

// validTraceParent holds s against section 3.2 of the specification: 00-{32 hex digits}-{16}-{2}, lower case, and
// neither id all zeros. What a later version appends is not passed on, and so is not accepted here.
func validTraceParent(s string) bool {
	const length, trace, parent, flags = 55, 3, 36, 53
	if len(s) != length || s[:trace] != "00-" || s[parent-1] != '-' || s[flags-1] != '-' {
		return false
	}
	return hexID(s[trace:parent-1], true) && hexID(s[parent:flags-1], true) && hexID(s[flags:], false)
}

func hexID(s string, notZero bool) bool {
	zero := true
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		zero = zero && c == '0'
	}
	return !notZero || !zero
}
