package inbox

import (
	"cmp"
	"errors"
	"fmt"
)

// ErrIgnored is a Decoder's answer for a record that the operator said to pass over. It is counted, nothing else.
var ErrIgnored = errors.New("record ignored")

// A Refusal is a final answer about one record: rejected (a business "no", remembered in the inbox, so a second copy
// gets the same answer) or parked (the record itself is wrong: kept as a dead letter, and a corrected one may come).
type Refusal struct {
	Code     string // stable and machine-readable: lower case, words joined by underscores
	Detail   string // for people; never empty bytes of the record itself
	Position int    // byte of the value at which reading stopped; -1 = the whole record
	Parked   bool
}

func (r *Refusal) Error() string {
	verb := "rejected"
	if r.Parked {
		verb = "parked"
	}
	if r.Detail == "" {
		return fmt.Sprintf("%s: %s", verb, r.Code)
	}
	return fmt.Sprintf("%s: %s: %s", verb, r.Code, r.Detail)
}

// Reject is a Handler's business "no". An empty code is stored as `rejected`.
func Reject(code string) error { return &Refusal{Code: cmp.Or(code, "rejected"), Position: -1} }

// Park says that the record itself is wrong. An empty code is stored as `parked`.
func Park(code string) error { return ParkAt(code, "", -1) }

// ParkAt is Park with words for people and the byte of the value at which reading stopped (-1 = the whole record).
func ParkAt(code, detail string, position int) error {
	return &Refusal{Code: cmp.Or(code, "parked"), Detail: detail, Position: position, Parked: true}
}
