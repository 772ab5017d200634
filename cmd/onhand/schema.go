package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"onhand/internal/cliout"
	"onhand/inventory/schemas"
)

type schemaCmd struct {
	Kind string `arg:"" optional:"" placeholder:"KIND" help:"Kind of event or message, as stock.sold."`
}

func (schemaCmd) Help() string {
	return `Prints the JSON Schema (draft 2020-12) of one kind of the events that onhand reads, or of the messages that
it publishes; without a kind, a list of them. What a schema takes may still be parked for what no schema can say.

Examples:

  onhand schema
  onhand schema stock.sold
  onhand schema -o json`
}

// kindSchema is one of the list.
type kindSchema struct {
	Kind  string `json:"kind"`
	Means string `json:"means"`
}

func (c *schemaCmd) Run(con *console) error {
	if c.Kind == "" {
		return listSchemas(con)
	}
	schema, ok := schemas.Of(c.Kind)
	if !ok {
		return usage("there is no schema of %q, only of %s", c.Kind, strings.Join(schemas.Kinds(), ", "))
	}
	_, err := con.stdout.Write(schema)
	return err
}

func listSchemas(con *console) error {
	var list []kindSchema
	for _, kind := range schemas.Kinds() {
		text, _ := schemas.Of(kind)
		var schema struct {
			Description string `json:"description"`
		}
		if err := json.Unmarshal(text, &schema); err != nil {
			return fmt.Errorf("read the schema of %s: %w", kind, err)
		}
		means, _, _ := strings.Cut(schema.Description, ".")
		list = append(list, kindSchema{kind, means})
	}
	return con.out.Print(list, func(t *cliout.Grid) {
		for _, s := range list {
			t.Row(s.Kind, s.Means)
		}
	})
}
