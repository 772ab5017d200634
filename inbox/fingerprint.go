package inbox

import (
	"crypto/sha256"
	"encoding/binary"
)

// rawFingerprint is the algorithm of FingerprintBytes. Decoders with an algorithm of their own use other numbers.
const rawFingerprint = 0

// FingerprintBytes is the fingerprint of an opaque event: algorithm 0, the first 56 bits of the SHA-256 of b.
func FingerprintBytes(b []byte) int64 {
	sum := sha256.Sum256(b)
	return int64(rawFingerprint<<56 | binary.BigEndian.Uint64(sum[:8])>>8)
}
