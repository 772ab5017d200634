package pgbatch_test

import (
	"math"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/database"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// Every array comes back as its text, which the server makes of what it has read.
func TestArraysReachTheServerAsTheyAre(t *testing.T) {
	t.Parallel()
	cfg, _, err := database.Config(testenv.Database(t), "")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	word := "w"
	for _, tt := range []struct {
		kind  string
		value any
		want  string
	}{
		{"text[]", []string{"a", "", `q"\`, "Ä{,}", "null"}, `{a,"","q\"\\","Ä{,}","null"}`},
		{"text[]", []string{}, `{}`},
		{"text[]", []string(nil), ""},
		{"text[]", []*string{&word, nil}, `{w,NULL}`},
		{"text[]", []string{strings.Repeat("x", 70_000)}, "{" + strings.Repeat("x", 70_000) + "}"},
		{"bigint[]", []int64{1, -1, math.MinInt64, math.MaxInt64}, `{1,-1,-9223372036854775808,9223372036854775807}`},
		{"bigint[]", []int64{}, `{}`},
		{"bigint[]", []int64(nil), ""},
		{"bigint[]", []int32{7}, `{7}`},
		{"integer[]", []int32{0, -5, math.MaxInt32, math.MinInt32}, `{0,-5,2147483647,-2147483648}`},
		{"integer[]", []int64{7}, `{7}`},
		{"smallint[]", []int16{3}, `{3}`},
	} {
		var got *string
		if err := pool.QueryRow(t.Context(), "select $1::"+tt.kind+"::text", tt.value).Scan(&got); err != nil {
			t.Errorf("%T %v: %v", tt.value, tt.value, err)
			continue
		}
		if isNull := got == nil; isNull != (tt.want == "") || !isNull && *got != tt.want {
			t.Errorf("%T as %s: the server read %v, want %s", tt.value, tt.kind, got, tt.want)
		}
	}
}
