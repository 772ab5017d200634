package schemas_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"onhand/inventory/schemas"
)

const asyncAPI = "../../docs/asyncapi.yaml"

func TestTheAsyncAPIDocumentIsOne(t *testing.T) {
	t.Parallel()
	fetch := exec.CommandContext(t.Context(), "../../scripts/asyncapi")
	path, err := fetch.Output()
	if err != nil {
		t.Fatalf("fetch AsyncAPI's schema: %v", err)
	}
	text, err := os.ReadFile(strings.TrimSpace(string(path)))
	if err != nil {
		t.Fatal(err)
	}
	meta, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("asyncapi.json", meta); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document := readAsyncAPI(t)
	if err := schema.Validate(document); err != nil {
		t.Errorf("%v", err)
	}
	document.(map[string]any)["channels"].(map[string]any)["events"].(map[string]any)["home"] = "inventory.events"
	if schema.Validate(document) == nil {
		t.Error("the schema takes anything")
	}
}

func TestTheAsyncAPIDocumentHasEveryKindOnceAndItsReferencesLeadSomewhere(t *testing.T) {
	t.Parallel()
	document := readAsyncAPI(t)
	var files []string
	walk(document, func(ref string) {
		file, inside, _ := strings.Cut(ref, "#")
		target := document
		if file != "" {
			files = append(files, file)
			text, err := os.ReadFile(filepath.Join(filepath.Dir(asyncAPI), file))
			if err != nil || json.Unmarshal(text, &target) != nil {
				t.Errorf("%s: %v", ref, err)
			}
		}
		for _, name := range strings.FieldsFunc(inside, func(r rune) bool { return r == '/' }) {
			object, _ := target.(map[string]any)
			if target = object[name]; target == nil {
				t.Errorf("%s leads nowhere", ref)
				return
			}
		}
	})
	var want []string
	for _, kind := range schemas.Kinds() {
		want = append(want, "../inventory/schemas/"+kind+".json")
	}
	slices.Sort(files)
	if !slices.Equal(files, want) {
		t.Errorf("it has the schemas %v, want %v", files, want)
	}
	at := func(names ...string) map[string]any {
		value := document
		for _, name := range names {
			value = value.(map[string]any)[name]
		}
		return value.(map[string]any)
	}
	events, all := at("channels", "events", "messages"), at("components", "messages")
	if len(events) != len(want)-len(messages) || len(at("channels", "changes", "messages")) != len(messages) ||
		len(all) != len(want) {
		t.Errorf("%d kinds of events, %d messages", len(events), len(all))
	}
	for name := range at("components", "messages") {
		message := at("components", "messages", name)
		ref, _ := at("components", "messages", name, "payload", "schema")["$ref"].(string)
		if kind, _ := message["name"].(string); !strings.HasSuffix(ref, "/"+kind+".json") {
			t.Errorf("%s has the schema %s", kind, ref)
		}
	}
}

// readAsyncAPI reads the document as JSON has it.
func readAsyncAPI(t *testing.T) any {
	t.Helper()
	text, err := os.ReadFile(asyncAPI)
	if err != nil {
		t.Fatal(err)
	}
	var read any
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	text, err = json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	read, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// walk calls see for each reference in value.
func walk(value any, see func(ref string)) {
	switch v := value.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			see(ref)
		}
		for _, inner := range v {
			walk(inner, see)
		}
	case []any:
		for _, inner := range v {
			walk(inner, see)
		}
	}
}
