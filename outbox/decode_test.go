package outbox

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

func TestAnArrayOfBytesIsReadAsTheDriverReadsIt(t *testing.T) {
	t.Parallel()
	types := pgtype.NewMap()
	for _, want := range [][][]byte{
		nil, {}, {[]byte("a")}, {[]byte("key"), nil, {}, {0, 0xff}}, {bytes.Repeat([]byte{7}, 5000)},
	} {
		var encoded []byte
		if want != nil {
			var err error
			if encoded, err = types.Encode(pgtype.ByteaArrayOID, pgtype.BinaryFormatCode, want, nil); err != nil {
				t.Fatal(err)
			}
		}
		got, err := decodeArray(encoded)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %q (%v)", want, got, err)
		}
	}
}

func FuzzDecodeArray(f *testing.F) {
	types := pgtype.NewMap()
	for _, seed := range [][][]byte{{}, {[]byte("a"), nil}, {{}, []byte("bc"), []byte("d")}} {
		b, err := types.Encode(pgtype.ByteaArrayOID, pgtype.BinaryFormatCode, seed, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeArray(b)
		if err != nil || len(got) == 0 {
			return
		}
		total := 0
		for _, e := range got {
			total += len(e)
		}
		if total > len(b) {
			t.Errorf("%d bytes came out of %d", total, len(b))
		}
	})
}
