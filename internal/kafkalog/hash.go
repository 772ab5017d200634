package kafkalog

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Hash is a 64-bit hash of what a record is, the same for the same record wherever it is read: key, value, headers in
// their order, and the log's time for it in milliseconds. An absent key or value is another one than an empty one.
// Stored hashes are compared with it after an upgrade, so its result for given bytes never changes.
//
// H is any struct of a header's Key and Value.
func Hash[H ~struct{ Key, Value []byte }](key, value []byte, headers []H, timestamp time.Time) int64 {
	buffer := make([]byte, 0, len(key)+len(value)+64)
	buffer = binary.AppendVarint(buffer, timestamp.UnixMilli())
	buffer = appendBytes(buffer, key)
	buffer = appendBytes(buffer, value)
	for _, h := range headers {
		header := struct{ Key, Value []byte }(h)
		buffer = appendBytes(buffer, header.Key)
		buffer = appendBytes(buffer, header.Value)
	}
	sum := sha256.Sum256(buffer)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// appendBytes writes b with its length before it, -1 for nil, so that no two lists of fields make the same bytes.
func appendBytes(buffer, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(buffer, -1)
	}
	return append(binary.AppendVarint(buffer, int64(len(b))), b...)
}
