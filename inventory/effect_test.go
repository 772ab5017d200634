package inventory

import (
	"testing"

	"onhand/internal/testenv"
)

func TestAnItemsEffectIsTheMessageOfItsFirstMovementOrOfItsRejection(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	is := items([]occurrence{
		defines("A", Policy{}), moves(Received, "A", "main", 5), moves(Sold, "A", "main", 9), moves(Sold, "A", "main", 2),
	})
	must(t, commitBatch(t.Context(), conn, NewHandler(Config{}), is))
	if is[0].Effect != 0 || is[2].Rejected() == "" {
		t.Errorf("what nobody is told of has the effect %d", is[0].Effect)
	}
	for item, from := range map[int]string{1: "movements", 2: "outbox_messages", 3: "movements"} {
		var id int64
		column := map[string]string{"movements": "message_id", "outbox_messages": "id"}[from]
		must(t, conn.QueryRow(t.Context(), `select `+column+` from `+from+` where event_id = $1`, is[item].ID).Scan(&id))
		if is[item].Effect != id {
			t.Errorf("%s: the effect is %d, its message %d", is[item].ID, is[item].Effect, id)
		}
	}
}
