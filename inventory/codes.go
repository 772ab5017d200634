package inventory

import "slices"

// Code is a stable reason under which a record is parked, or an event rejected.
type Code struct {
	Name    string
	Meaning string
}

// ParkCodes lists every reason for which the Decoder parks a record: something about the record itself is wrong, and a
// corrected one may be sent under the same id.
func ParkCodes() []Code {
	return slices.Concat(recordCodes(), cloudEventCodes(), fieldCodes(), quantityCodes(), kindCodes(), typeCodes())
}

// recordCodes are about the record as a whole, and about its value as JSON.
func recordCodes() []Code {
	return []Code{
		{"tombstone", "The record has no value (null)."},
		{"empty_value", "The value has no bytes."},
		{"record_too_large", "The value is larger than the configured bound."},
		{"unknown_content_type", "A header says that the value is something else than JSON or a CloudEvent in JSON."},
		{"header_not_text", "A header's key, or an attribute in a header, is not valid UTF-8, or holds a NUL."},

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
	}
}

// cloudEventCodes are about CloudEvents alone; their type is the event's kind.
func cloudEventCodes() []Code {
	return []Code{
		{"batch_not_supported", "The record is a batch of CloudEvents."},
		{"missing_specversion", "The CloudEvent has no specversion."},
		{"unknown_specversion", "The CloudEvent's specversion is not 1.0."},
		{"wrong_type_specversion", "The CloudEvent's specversion is not a string."},
		{"missing_source", "The CloudEvent has no source."},
		{"duplicate_header", "Two headers are the same attribute of the CloudEvent."},
		{"unknown_datacontenttype", "The CloudEvent's data is something else than JSON."},
		{"wrong_type_datacontenttype", "The CloudEvent's datacontenttype is not a string."},
		{"missing_data", "The CloudEvent has no data."},
		{"wrong_type_data", "The CloudEvent's data is not an object."},
		{"data_base64_not_supported", "The CloudEvent's data is given as data_base64."},
		{"tenant_twice", "The CloudEvent names a tenant in its data and beside it."},
	}
}

// fieldCodes are about the fields that all kinds of events have.
func fieldCodes() []Code {
	return []Code{
		{"misspelt_field", "A field differs from a known one only in case or separators."},
		{"field_not_allowed", "A field has no meaning for this kind of event, or not in this place."},
		{"missing_lines", "lines is an empty array."},
		{"too_many_lines", "The event has more than 1000 lines."},
		{"lines_and_line", "Beside lines stands a SKU, a quantity or an if_version."},
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
		{"missing_sku", "The event, one of its lines or a part of a bundle names no SKU."},
		{"empty_sku", "The SKU is the empty string."},
		{"sku_too_long", "The SKU is longer than 255 bytes."},
		{"empty_location", "The location is the empty string."},
		{"location_too_long", "The location is longer than 255 bytes."},
		{"reason_too_long", "The reason is longer than 1024 bytes."},
		{"bad_time", "The time is not an RFC 3339 date and time."},
	}
}

// quantityCodes are about what a line says beside its SKU and location.
func quantityCodes() []Code {
	return []Code{
		{"missing_quantity", "The event, one of its lines or a part of a bundle has no quantity."},
		{"quantity_zero", "The quantity is 0, and the event is neither a count nor the receipt of a transfer."},
		{"quantity_negative", "The quantity is negative, and the event is not an adjustment."},
		{"quantity_not_integer", "The quantity is not written as an integer: it has a fraction or an exponent."},
		{"quantity_out_of_range", "The quantity, or the sum of those of one SKU and location, does not fit 64 bits."},
		{"if_version_negative", "if_version is negative."},
		{"if_version_not_integer", "if_version is not written as an integer."},
		{"if_version_out_of_range", "if_version does not fit 64 bits."},
		{"if_version_conflict", "Two lines of one SKU and location have different values of if_version."},
	}
}

// kindCodes are about what only some kinds of events have.
func kindCodes() []Code {
	return []Code{
		{"unknown_condition", "condition is neither sellable nor damaged."},
		{"bad_counted_at", "counted_at is not an RFC 3339 date and time."},
		{"missing_reservation", "The event names no reservation."},
		{"empty_reservation", "The reservation is the empty string."},
		{"reservation_too_long", "The reservation is longer than 255 bytes."},
		{"bad_expires_at", "expires_at is not an RFC 3339 date and time."},
		{"ttl_not_integer", "ttl is not written as an integer."},
		{"ttl_out_of_range", "ttl is less than 1 second, or more than 2147483647."},
		{"expires_twice", "The reservation has both expires_at and ttl."},
		{"missing_to", "The transfer does not say where to."},
		{"empty_to", "to is the empty string."},
		{"to_too_long", "to is longer than 255 bytes."},
		{"same_location", "The transfer goes where it comes from."},
		{"missing_transfer", "The event does not say which transfer was received."},
		{"empty_transfer", "The transfer is the empty string."},
		{"transfer_too_long", "The transfer is longer than 255 bytes."},
		{"unknown_backorder", "backorder is none of deny, allow, limit."},
		{"missing_backorder_limit", "backorder is limit, and backorder_limit is missing."},
		{"unexpected_backorder_limit", "backorder_limit is given, and backorder is not limit."},
		{"backorder_limit_negative", "backorder_limit is negative."},
		{"backorder_limit_not_integer", "backorder_limit is not written as an integer."},
		{"backorder_limit_out_of_range", "backorder_limit does not fit 64 bits."},
		{"empty_name", "The name is the empty string."},
		{"name_too_long", "The name is longer than 255 bytes."},
		{"empty_unit", "The unit is the empty string."},
		{"unit_too_long", "The unit is longer than 32 bytes."},
		{"low_stock_negative", "low_stock is negative."},
		{"low_stock_not_integer", "low_stock is not written as an integer."},
		{"low_stock_out_of_range", "low_stock does not fit 64 bits."},
		{"bad_bundle", "The bundle has no parts, or more than 100, or itself or one SKU twice among them."},
	}
}

// typeCodes are about values of another JSON type than the field's.
func typeCodes() []Code {
	return []Code{
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
		{"wrong_type_lines", "lines is not an array of objects."},
		{"wrong_type_condition", "condition is not a string."},
		{"wrong_type_counted_at", "counted_at is not a string."},
		{"wrong_type_reservation", "The reservation is not a string."},
		{"wrong_type_expires_at", "expires_at is not a string."},
		{"wrong_type_ttl", "ttl is not a number."},
		{"wrong_type_to", "to is not a string."},
		{"wrong_type_transfer", "The transfer is not a string."},
		{"wrong_type_name", "The name is not a string."},
		{"wrong_type_unit", "The unit is not a string."},
		{"wrong_type_low_stock", "low_stock is not a number."},
		{"wrong_type_bundle", "bundle is not an array of objects."},
	}
}

// The reasons for which an event is rejected.
const (
	insufficientStock = "insufficient_stock"
	belowZero         = "below_zero"
	versionMismatch   = "version_mismatch"
	overflow          = "overflow"
	policyConflict    = "policy_conflict"

	hasStock       = "has_stock"
	isBundle       = "is_bundle"
	tooManyParts   = "too_many_parts"
	bundleOfBundle = "bundle_of_bundle"

	countOutdated = "count_outdated"

	alreadyExpired      = "already_expired"
	unknownReservation  = "unknown_reservation"
	reservationConflict = "reservation_conflict"
	reservationClosed   = "reservation_closed"
	exceedsReservation  = "exceeds_reservation"

	transferExists  = "transfer_exists"
	unknownTransfer = "unknown_transfer"
	transferClosed  = "transfer_closed"
	notInTransfer   = "not_in_transfer"
)

// RejectCodes lists every reason for which an event is rejected: the record is right, and the answer is no. It is
// final, and a second copy of the event gets the same one.
func RejectCodes() []Code {
	return []Code{
		{insufficientStock, "More is asked for than is available, and the SKU does not allow that much backorder."},
		{belowZero, "The adjustment would take stock on hand below what the SKU allows."},
		{versionMismatch, "The stock row does not have the version that the event asks for."},
		{overflow, "The stock row's quantity or version would no longer fit 64 bits."},
		{policyConflict, "Stock that is there would break the SKU's new policy."},
		{hasStock, "The SKU has a row of stock somewhere, so it cannot become a bundle."},
		{isBundle, "The SKU is a bundle, which has no stock of its own: only its parts can do this."},
		{tooManyParts, "The bundles of the event come to more than 10000 lines when they are taken apart."},
		{bundleOfBundle, "A part of the bundle is itself a bundle."},
		{countOutdated, "Goods have moved since they were counted: what was counted then says nothing about now."},
		{alreadyExpired, "The reservation's deadline is not after the record that sets it."},
		{unknownReservation, "There is no reservation of that id."},
		{reservationConflict, "There is a reservation of that id, and its lines are others."},
		{reservationClosed, "The reservation was released, fulfilled, or has expired."},
		{exceedsReservation, "The reservation has less of a line open, or no such line."},
		{transferExists, "There is a transfer of that id already."},
		{unknownTransfer, "There is no transfer of that id."},
		{transferClosed, "The transfer was received already."},
		{notInTransfer, "A SKU was received that was not sent."},
	}
}
