package workload

import "bytes"

// spoilers each turn the JSON of a good event into a value that must be parked; nil is a tombstone.
var spoilers = []struct {
	name  string
	spoil func(good []byte) []byte
}{
	{"not JSON", func([]byte) []byte { return []byte("stock of SKU-000001 is fine, thanks") }},
	{"cut off", func(good []byte) []byte { return good[:len(good)/2] }},
	{"trailing garbage", func(good []byte) []byte { return append(good, "}}"...) }},
	{"unknown kind", replace(`"kind":"stock.sold"`, `"kind":"stock.teleported"`)},
	{"no id", replace(`"id":`, `"nothing":`)},
	{"no SKU", replace(`"sku":`, `"article":`)},
	{"misspelt field", replace(`"sku":`, `"SKU":`)},
	{"field twice", replace(`"location":"main"`, `"location":"main","location":"main"`)},
	{"quantity of 0", replace(`"quantity":1`, `"quantity":0`)},
	{"quantity is negative", replace(`"quantity":1`, `"quantity":-1`)},
	{"quantity is a fraction", replace(`"quantity":1`, `"quantity":1.5`)},
	{"quantity is text", replace(`"quantity":1`, `"quantity":"1"`)},
	{"quantity beyond 64 bits", replace(`"quantity":1`, `"quantity":9223372036854775808`)},
	{"not UTF-8", replace(`"location":"main"`, "\"location\":\"ma\xffin\"")},
	{"empty value", func([]byte) []byte { return []byte{} }},
	{"tombstone", func([]byte) []byte { return nil }},
}

func replace(from, to string) func([]byte) []byte {
	return func(good []byte) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
}

// bad makes a record that is wrong in one way; the ways take turns.
func (g *Generator) bad() Record {
	e := event{kind: "stock.sold", source: "webshop-01", sku: skuName(g.drawSKU()), location: "main", quantity: 1}
	g.stamp(&e)
	way := spoilers[g.nextBad%len(spoilers)]
	g.nextBad++
	return Record{Class: Bad, Key: []byte(e.sku), Value: way.spoil(e.appendJSON(nil))}
}
