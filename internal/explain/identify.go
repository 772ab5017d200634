package explain

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// clues are what a wrong record says of its identity, as far as it can be read. A name may be there twice: that is what
// some records are parked for.
type clues struct {
	ids, tenants, sources []string
	whole                 bool // all of it could be read
}

// identify reads the members of an object up to what is wrong with it.
func identify(value []byte) (c clues) {
	dec := jsontext.NewDecoder(bytes.NewReader(value),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if dec.PeekKind() != jsontext.KindBeginObject {
		return c
	}
	if _, err := dec.ReadToken(); err != nil {
		return c
	}
	for dec.PeekKind() == jsontext.KindString {
		token, err := dec.ReadToken()
		if err != nil {
			return c
		}
		name := token.String()
		if dec.PeekKind() != jsontext.KindString {
			if err := dec.SkipValue(); err != nil {
				return c
			}
			continue
		}
		if token, err = dec.ReadToken(); err != nil {
			return c
		}
		switch name {
		case "id":
			c.ids = append(c.ids, token.String())
		case "tenant":
			c.tenants = append(c.tenants, token.String())
		case "source":
			c.sources = append(c.sources, token.String())
		}
	}
	_, err := dec.ReadToken()
	c.whole = err == nil
	return c
}

// about says whether the record of that value is about an event, and whether that is certain; a nil source is any.
func (c clues) about(value []byte, tenant, id string, source *string) (is, certain bool) {
	sameTenant, tenantSure := c.says(c.tenants, tenant)
	sameSource, sourceSure := true, true
	if source != nil {
		sameSource, sourceSure = c.says(c.sources, *source)
	}
	switch {
	case !sameTenant || !sameSource:
		return false, false
	case slices.Contains(c.ids, id):
		return true, tenantSure && sourceSure
	case len(c.ids) > 0 && c.whole:
		return false, false
	}
	return bytes.Contains(value, []byte(id)), false
}

// says whether a member that is found in these forms may be want, and whether that is certain. One that is missing is
// empty; in a record that could not be read to its end it may stand in the rest.
func (c clues) says(found []string, want string) (may, certain bool) {
	if len(found) > 0 {
		return slices.Contains(found, want), true
	}
	return want == "" || !c.whole, c.whole
}
