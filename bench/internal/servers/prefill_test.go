package servers

import (
	"context"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const idsInOrder = `select event_id from inbox where outcome = 'applied' and topic = 'prefill' order by fingerprint`

// filled are the ids of 1,000 rows, in the order in which they were made.
func filled(t *testing.T, random bool) []string {
	t.Helper()
	url := testenv.Database(t)
	if err := Fill(t.Context(), url, Prefill{Rows: 1000, RandomIDs: random}); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	rows, err := conn.Query(t.Context(), idsInOrder)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(ids) != 1000 {
		t.Fatalf("%d rows, %v", len(ids), err)
	}
	return ids
}

func TestAFilledInboxHoldsOlderIDsInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	v7 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids := filled(t, false)
	if !slices.IsSorted(ids) || !v7.MatchString(ids[0]) {
		t.Errorf("ids are %s, %s, ...", ids[0], ids[1])
	}
	now := time.Now().UnixMilli()
	const hex = "0123456789abcdef"
	var prefix []byte // the time, as ids begin with it
	for shift := 44; shift >= 0; shift -= 4 {
		prefix = append(prefix, hex[now>>shift&15])
	}
	if next := string(prefix[:8]) + "-" + string(prefix[8:]); ids[999] >= next {
		t.Errorf("the last id is %s, younger than those that begin with %s now", ids[999], next)
	}
}

func TestAFilledInboxHoldsIDsWithoutOrder(t *testing.T) {
	t.Parallel()
	v4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids := filled(t, true)
	falls := 0
	for i := 1; i < len(ids); i++ {
		if ids[i] < ids[i-1] {
			falls++
		}
	}
	if falls < 400 || falls > 600 || !v4.MatchString(ids[0]) {
		t.Errorf("%d of 1000 ids are below the one before; the first is %s", falls, ids[0])
	}
}
