package main

import "testing"

func TestProgressIsReadLineByLineHoweverItArrives(t *testing.T) {
	t.Parallel()
	var p progress
	for _, step := range []struct {
		write string
		want  int64
	}{{"1", 0}, {"2\n", 12}, {"13\n14\n1", 14}, {"5\n", 15}} {
		if _, err := p.Write([]byte(step.write)); err != nil {
			t.Fatal(err)
		}
		if got, _ := p.latest(t.Context(), nil); got != step.want {
			t.Errorf("after %q %d, want %d", step.write, got, step.want)
		}
	}
	if _, err := p.Write([]byte("panic\n")); err == nil {
		t.Error("no error for a line that is no number")
	}
}
