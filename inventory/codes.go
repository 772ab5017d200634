package inventory

// Code is a stable reason under which a record is parked, or an event rejected.
type Code struct {
	Name    string
	Meaning string
}

// ParkCodes lists every reason for which the Decoder parks a record: something about the record itself is wrong, and a
// corrected one may be sent under the same id.
func ParkCodes() []Code {
	return []Code{
		// The record as a whole.
		{"tombstone", "The record has no value (null)."},
		{"empty_value", "The value has no bytes."},
		{"record_too_large", "The value is larger than the configured bound."},
		{"unknown_content_type", "A header says that the value is something else than plain JSON."},
		{"header_not_text", "A header's key is not valid UTF-8, or holds a NUL."},

		// The value as JSON.
		{"byte_order_mark", "The value starts with a byte order mark, which JSON forbids."},
		{"not_json", "The value is not JSON, or stops too early."},
		{"not_an_object", "The value is JSON, but not an object."},
		{"trailing_data", "Something follows the JSON object."},
		{"invalid_utf8", "The value is not valid UTF-8."},
		{"lone_surrogate", "A string escapes one half of a surrogate pair."},
		{"nul_character", "The value holds a NUL, or a string that matters holds an escaped one."},
		{"control_character", "A control character stands where JSON allows none, as in a string without an escape."},
		{"duplicate_key", "An object, at any level, has the same key twice."},
		{"too_deep", "Objects and arrays are nested deeper than 32 levels."},

		// The fields.
		{"misspelt_field", "A field differs from a known one only in case or separators."},
		{"field_not_allowed", "A field has no meaning for this kind of event."},
		{"lines_not_supported", "The event has several lines."},
		{"missing_kind", "The event has no kind."},
		{"unknown_kind", "The kind is none that is known."},
		{"missing_id", "The event has no id."},
		{"empty_id", "The id is the empty string."},
		{"id_too_long", "The id is longer than 255 bytes."},
		{"empty_source", "The source is the empty string."},
		{"source_too_long", "The source is longer than 255 bytes."},
		{"reserved_source", "The source starts with onhand:, which is reserved."},
		{"empty_tenant", "The tenant is the empty string."},
		{"tenant_too_long", "The tenant is longer than 255 bytes."},
		{"missing_sku", "The event names no SKU."},
		{"empty_sku", "The SKU is the empty string."},
		{"sku_too_long", "The SKU is longer than 255 bytes."},
		{"empty_location", "The location is the empty string."},
		{"location_too_long", "The location is longer than 255 bytes."},
		{"reason_too_long", "The reason is longer than 1024 bytes."},
		{"bad_time", "The time is not an RFC 3339 date and time."},
		{"missing_quantity", "The event has no quantity."},
		{"quantity_zero", "The quantity is 0, and the event is not a count."},
		{"quantity_negative", "The quantity is negative, and the event is not an adjustment."},
		{"quantity_not_integer", "The quantity is not written as an integer: it has a fraction or an exponent."},
		{"quantity_out_of_range", "The quantity does not fit 64 bits."},
		{"if_version_negative", "if_version is negative."},
		{"if_version_not_integer", "if_version is not written as an integer."},
		{"if_version_out_of_range", "if_version does not fit 64 bits."},
		{"unknown_backorder", "backorder is none of deny, allow, limit."},
		{"missing_backorder_limit", "backorder is limit, and backorder_limit is missing."},
		{"unexpected_backorder_limit", "backorder_limit is given, and backorder is not limit."},
		{"backorder_limit_negative", "backorder_limit is negative."},
		{"backorder_limit_not_integer", "backorder_limit is not written as an integer."},
		{"backorder_limit_out_of_range", "backorder_limit does not fit 64 bits."},
		{"wrong_type_id", "The id is not a string."},
		{"wrong_type_kind", "The kind is not a string."},
		{"wrong_type_source", "The source is not a string."},
		{"wrong_type_tenant", "The tenant is not a string."},
		{"wrong_type_sku", "The SKU is not a string."},
		{"wrong_type_location", "The location is not a string."},
		{"wrong_type_reason", "The reason is not a string."},
		{"wrong_type_time", "The time is not a string."},
		{"wrong_type_quantity", "The quantity is not a number."},
		{"wrong_type_if_version", "if_version is not a number."},
		{"wrong_type_backorder", "backorder is not a string."},
		{"wrong_type_backorder_limit", "backorder_limit is not a number."},
	}
}

// The reasons for which an event is rejected.
const (
	insufficientStock = "insufficient_stock"
	belowZero         = "below_zero"
	versionMismatch   = "version_mismatch"
	overflow          = "overflow"
	policyConflict    = "policy_conflict"
)

// RejectCodes lists every reason for which an event is rejected: the record is right, and the answer is no. It is
// final, and a second copy of the event gets the same one.
func RejectCodes() []Code {
	return []Code{
		{insufficientStock, "The sale would take more than is available, and the SKU does not allow that much backorder."},
		{belowZero, "The adjustment would take stock on hand below what the SKU allows."},
		{versionMismatch, "The stock row does not have the version that the event asks for."},
		{overflow, "The stock row's quantity or version would no longer fit 64 bits."},
		{policyConflict, "Stock that is there would break the SKU's new policy."},
	}
}
