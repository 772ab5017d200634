package inventory

import (
	"strings"
	"testing"
)

func TestAMovementIsAnnouncedByWhatItCrosses(t *testing.T) {
	t.Parallel()
	ten, zero, none := Threshold{true, 10}, Threshold{true, 0}, Threshold{}
	row := func(onHand, reserved int64) Stock { return Stock{OnHand: onHand, Reserved: reserved, Version: 5} }
	for _, c := range []struct {
		name          string
		before, after Stock
		low           Threshold
		policy        Policy
		want          string
	}{
		{"down to the threshold", row(11, 0), row(10, 0), ten, Policy{}, "stock.low"},
		{"down beyond it", row(50, 0), row(3, 0), ten, Policy{}, "stock.low"},
		{"not down to it", row(50, 0), row(11, 0), ten, Policy{}, ""},
		{"it is low already", row(10, 0), row(9, 0), ten, Policy{}, ""},
		{"up within what is low", row(3, 0), row(10, 0), ten, Policy{}, ""},
		{"there is no threshold", row(11, 0), row(10, 0), none, Policy{}, ""},
		{"what is reserved is not available", row(20, 9), row(20, 10), ten, Policy{}, "stock.low"},
		{"to nothing", row(3, 0), row(0, 0), ten, Policy{}, "stock.depleted"},
		{"to nothing without a threshold", row(3, 0), row(0, 0), none, Policy{}, "stock.depleted"},
		{"to nothing in one step", row(30, 0), row(0, 0), ten, Policy{}, "stock.low stock.depleted"},
		{"to nothing, which is the threshold", row(30, 0), row(0, 0), zero, Policy{}, "stock.low stock.depleted"},
		{"all is reserved", row(30, 0), row(30, 30), none, Policy{}, "stock.depleted"},
		{"below nothing at once", row(3, 0), row(-2, 0), none, Policy{Backorder: Allow}, "stock.depleted"},
		{"further below", row(0, 0), row(-2, 0), none, Policy{Backorder: Allow}, ""},
		{"above the threshold", row(10, 0), row(11, 0), ten, Policy{}, "stock.restored"},
		{"from nothing to above it", row(0, 0), row(11, 0), ten, Policy{}, "stock.restored"},
		{"from nothing to below it", row(0, 0), row(4, 0), ten, Policy{}, ""},
		{"from nothing without a threshold", row(0, 0), row(1, 0), none, Policy{}, "stock.restored"},
		{"back to zero", row(-3, 0), row(0, 0), none, Policy{Backorder: Allow}, ""},
		{"a new row", Stock{}, row(50, 0), ten, Policy{}, ""},
		{"a new row that owes", Stock{}, row(-3, 0), ten, Policy{Backorder: Allow}, ""},
		{"less than is promised", row(5, 4), row(3, 4), none, Policy{}, "stock.depleted stock.overcommitted"},
		{
			"less than is promised, at once", row(50, 4), row(3, 4), ten,
			Policy{},
			"stock.low stock.depleted stock.overcommitted",
		},
		{"even less", row(3, 4), row(2, 4), none, Policy{}, ""},
		{"within what the policy allows", row(5, 4), row(3, 8), none, Policy{Limit, 5}, "stock.depleted"},
		{"beyond it", row(3, 8), row(2, 8), none, Policy{Limit, 5}, "stock.overcommitted"},
		{"without bound", row(5, 4), row(-100, 4), none, Policy{Backorder: Allow}, "stock.depleted"},
		{"to what is promised again", row(3, 4), row(4, 4), none, Policy{}, ""},
		{"only what is damaged", row(3, 0), Stock{OnHand: 3, Damaged: 9, Version: 6}, ten, Policy{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.before.Low, c.after.Low, c.before.Policy, c.after.Policy = c.low, c.low, c.policy, c.policy
			var got []string
			all := crossed(c.before, c.after)
			for rest := all; rest != 0; rest &^= rest.first() {
				got = append(got, rest.first().kind())
			}
			if strings.Join(got, " ") != c.want || all.count() != len(got) || len(got) >= maxMessages {
				t.Errorf("%v, counted %d, want %q", got, all.count(), c.want)
			}
		})
	}
}
