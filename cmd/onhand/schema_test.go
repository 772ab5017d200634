package main

import (
	"os"
	"testing"
)

func TestSchemasArePrintedAsTheyAreAndListed(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("../../inventory/schemas/stock.sold.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"schema", "stock.sold"}, {"schema", "stock.sold", "-o", "json"}} {
		if e := command(t, args...).expect(t, exitDone); e.stdout != string(want) {
			t.Errorf("%v printed %s", args, e.stdout)
		}
	}
	command(t, "schema").expect(t, exitDone, "sku.defined", "stock.sold", "Goods were sold and left\n")
	listed := decoded[[]kindSchema](t, command(t, "schema", "-o", "json").expect(t, exitDone))
	if len(listed) != 17 || listed[0] != (kindSchema{"sku.defined", "What a SKU is, and its policy"}) {
		t.Errorf("listed %v", listed)
	}
	command(t, "schema", "order.placed").expect(t, exitUsage, `no schema of "order.placed"`, "stock.sold")
}
