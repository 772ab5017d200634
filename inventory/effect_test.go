package inventory

import (
	"testing"

	"onhand/internal/testenv"
)

func TestAnItemsEffectIsTheMessageOfItsFirstMovement(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	is := items([]occurrence{
		defines("A", Policy{}), moves(Received, "A", "main", 5), moves(Sold, "A", "main", 9), moves(Sold, "A", "main", 2),
	})
	must(t, commitBatch(t.Context(), conn, NewHandler(Config{}), is))
	if is[0].Effect != 0 || is[2].Effect != 0 || is[2].Rejected() == "" {
		t.Errorf("what moves nothing has the effects %d and %d", is[0].Effect, is[2].Effect)
	}
	for _, item := range []int{1, 3} {
		var id int64
		must(t, conn.QueryRow(t.Context(), `select message_id from movements where event_id = $1`, is[item].ID).Scan(&id))
		if is[item].Effect != id {
			t.Errorf("%s: the effect is %d, the movement's message %d", is[item].ID, is[item].Effect, id)
		}
	}
}
