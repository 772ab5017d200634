package main

import (
	"strings"
	"testing"

	"onhand/internal/stock"
	"onhand/internal/testenv"
)

// stocked is a schema with a few rows of stock: of SKU, location, on hand, reserved and policy.
func stocked(t *testing.T) (url string) {
	t.Helper()
	url = testenv.Database(t)
	execute(t, connect(t, url), `
insert into stock (tenant, sku, location, on_hand, reserved, version, backorder, backorder_limit, last_topic,
                   last_partition, updated_at, low_stock)
values ('', 'B', 'main', 7, 2, 3, 'deny', null, 't', 0, '2026-01-31T00:00:00Z', 4),
       ('', 'A', 'north', 0, 0, 1, 'deny', null, 't', 0, now(), null),
       ('', 'A', 'main', -3, 0, 2, 'limit', 20, 't', 0, now(), null),
       ('', 'b', 'main', 4, 5, 1, 'allow', null, 't', 0, now(), null),
       ('', 'it''s, "ü"𝄞', 'main', 100, 0, 1, 'deny', null, 't', 0, now(), 100),
       ('x', 'A', 'main', 50, 1, 9, 'deny', null, 't', 0, now(), null)`)
	return url
}

func TestStockIsListedInTheOrderOfItsKeyAndFiltered(t *testing.T) {
	t.Parallel()
	url := stocked(t)
	const odd = `it's, "ü"𝄞`
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "/A/main /A/north /B/main /b/main /" + odd + "/main x/A/main"},
		{[]string{"A"}, "/A/main /A/north x/A/main"},
		{[]string{odd, "B"}, "/B/main /" + odd + "/main"},
		{[]string{"A", "--tenant", ""}, "/A/main /A/north"},
		{[]string{"A", "--tenant=x"}, "x/A/main"},
		{[]string{"--location", "north"}, "/A/north"},
		{[]string{"--prefix", "it's"}, "/" + odd + "/main"},
		{[]string{"--prefix", "%"}, ""},
		{[]string{"--low"}, "/A/main /A/north /b/main /" + odd + "/main"},
		{[]string{"--low=0"}, "/A/main /A/north /b/main"},
		{[]string{"--low=-1"}, "/A/main /b/main"},
		{[]string{"--low=5"}, "/A/main /A/north /B/main /b/main"},
		{[]string{"--negative"}, "/A/main /b/main"},
		{[]string{"--reserved"}, "/B/main /b/main x/A/main"},
		{[]string{"--reserved", "--negative", "b"}, "/b/main"},
		{[]string{"--after", `["","B","main"]`, "--low=5"}, "/b/main"},
		{[]string{"--after", `["","~","~"]`}, "x/A/main"},
	} {
		e := command(t, append([]string{"stock", "--database-url", url, "-o", "json"}, c.args...)...).expect(t, exitDone)
		var got []string
		for _, r := range decoded[listedStock](t, e).Stock {
			got = append(got, r.Tenant+"/"+r.SKU+"/"+r.Location)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q lists %v, want %s", c.args, got, c.want)
		}
	}
}

func TestARowOfStockIsShownWithWhatIsAvailable(t *testing.T) {
	t.Parallel()
	url := stocked(t)
	e := command(t, "stock", "B", "--database-url", url, "-o", "json").expect(t, exitDone)
	got := decoded[listedStock](t, e).Stock[0]
	if got.OnHand != 7 || got.Reserved != 2 || got.Available != 5 || got.Version != 3 || got.Backorder != "deny" ||
		got.BackorderLimit != nil || got.UpdatedAt.Year() != 2026 {
		t.Errorf("%+v", got)
	}
	e = command(t, "stock", "A", "B", "C", "--tenant", "", "--database-url", url).
		expect(t, exitDone, "AVAILABLE", "limit 20", "2026-01-31T00:00:00Z", "no row that was asked for: C\n")
	if strings.Contains(e.stdout, "asked for") {
		t.Errorf("stdout has more than data: %s", e.stdout)
	}
}

func TestStockIsReadPageByPage(t *testing.T) {
	t.Parallel()
	url := stocked(t)
	var got []string
	more := []string{}
	for range 10 {
		e := command(t, append([]string{"stock", "--limit", "2", "--database-url", url, "-o", "json"}, more...)...)
		page := decoded[listedStock](t, e.expect(t, exitDone))
		for _, r := range page.Stock {
			got = append(got, r.SKU)
		}
		if page.After == nil {
			if e.stderr != "" {
				t.Errorf("the last page says %s", e.stderr)
			}
			break
		}
		if !strings.Contains(e.stderr, "--after '"+*page.After+"'") {
			t.Errorf("stderr says %s", e.stderr)
		}
		more = []string{"--after", *page.After}
	}
	if want := `A A B b it's, "ü"𝄞 A`; strings.Join(got, " ") != want {
		t.Errorf("the pages are %s, want %s", got, want)
	}
}

func TestAKeyOfStockSurvivesAShell(t *testing.T) {
	t.Parallel()
	key := stock.Key{Tenant: "it's", SKU: "\"\\\x1b\u202eü𝄞<", Location: "~ "}
	text := formatStockKey(key)
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '\'' }) {
		t.Errorf("%s does not fit between single quotes", text)
	}
	if back, err := parseStockKey(text); err != nil || back != key {
		t.Errorf("%s is read as %q, %v", text, back, err)
	}
}

func TestWrongSettingsOfStockAreReported(t *testing.T) {
	t.Parallel()
	command(t, "stock", "--limit", "0", "--low=few", "--after", `["a","b"]`).
		expect(t, exitUsage, "--limit", "--low", "--after", "--database-url")
}
