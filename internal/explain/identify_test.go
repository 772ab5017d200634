package explain

import "testing"

func TestARecordIsKnownByWhatCanBeReadOfIt(t *testing.T) {
	t.Parallel()
	const yes, no, perhaps = "yes", "no", "perhaps"
	north := "north"
	for _, c := range []struct {
		value  string
		tenant string
		source *string
		want   string
	}{
		{`{"id":"e-1","kind":"x"}`, "", nil, yes},
		{`{"id":"e-2","note":"e-1"}`, "", nil, no},
		{`{"id":"e-1","id":"e-2"}`, "", nil, yes},
		{`{"id":"e\u002d1"}`, "", nil, yes},
		{`{"lines":[{"id":"e-1"}],"id":"e-2"}`, "", nil, no},
		{`{"lines":[{"id":"e-2"}],"id":"e-1"}`, "", nil, yes},
		{`{"id":"e-1","tenant":"t"}`, "", nil, no},
		{`{"id":"e-1","tenant":"t"}`, "t", nil, yes},
		{`{"id":"e-1"}`, "t", nil, no},
		{`{"id":"e-1","tenant":"t","sku":`, "t", nil, yes},
		{`{"id":"e-1","sku":`, "t", nil, perhaps},
		{`{"id":"e-1","sku":`, "", nil, perhaps},
		{`{"id":"e-1","tenant":"u","sku":`, "t", nil, no},
		{`{"id":"e-1","source":"north"}`, "", &north, yes},
		{`{"id":"e-1","source":"south"}`, "", &north, no},
		{`{"id":"e-1"}`, "", &north, no},
		{`{"sku":x,"id":"e-1"}`, "", nil, perhaps},
		{`{"id":1,"note":"e-1"}`, "", nil, perhaps},
		{"{\"note\":\"\xff\",\"id\":\"e-1\"}", "", nil, yes},
		{`["e-1"]`, "", nil, perhaps},
		{`e-1`, "", nil, perhaps},
		{`{"id":"e-2"`, "", nil, no},
		{`{"id":"e-2","x":e-1`, "", nil, perhaps},
		{``, "", nil, no},
	} {
		is, certain := identify([]byte(c.value)).about([]byte(c.value), c.tenant, "e-1", c.source)
		got := no
		if is && certain {
			got = yes
		} else if is {
			got = perhaps
		}
		if got != c.want {
			t.Errorf("%s in tenant %q: %s, want %s", c.value, c.tenant, got, c.want)
		}
	}
}
