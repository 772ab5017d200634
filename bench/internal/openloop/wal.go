package openloop

import "encoding/binary"

// walScanner finds the transactions that commit in a stream of Postgres's write-ahead log. It reads what has been the
// same since 9.5 (access/xlogrecord.h, access/xlog_internal.h): pages of 8 KiB, each with a header, and records that
// begin at multiples of 8, go on over as many pages as they need, and say first how long they are.
type walScanner struct {
	at       uint64 // the position of pending[0]
	pending  []byte
	inRecord bool
	left     int    // of the record
	head     []byte // of the record, as far as it has come
}

const (
	walPage       = 8192
	pageHead      = 24
	longPageHead  = 40 // the first of a segment
	longPageFlag  = 0x0002
	walRecordHead = 24
	walAlignment  = 8

	transactionManager = 1 // xl_rmid of transactions
	commitRecord       = 0x00
	recordKind         = 0x70 // in xl_info
)

// newWALScanner scans from a position at which a record ends or a page begins.
func newWALScanner(at uint64) *walScanner { return &walScanner{at: at} }

// scan takes in what follows, and calls committed with the id of each transaction whose commit is complete.
func (s *walScanner) scan(b []byte, committed func(xid uint32)) {
	s.pending = append(s.pending, b...)
	for s.step(committed) {
	}
}

// received is the position up to which everything was taken in.
func (s *walScanner) received() uint64 { return s.at + uint64(len(s.pending)) }

// step goes over a page's header, a gap, or a piece of a record. False means that there is too little of it yet.
func (s *walScanner) step(committed func(xid uint32)) bool {
	room := int(walPage - s.at%walPage)
	switch {
	case room == walPage:
		return s.page()
	case s.inRecord:
		n := min(s.left, room, len(s.pending))
		if missing := walRecordHead - len(s.head); missing > 0 {
			s.head = append(s.head, s.pending[:min(n, missing)]...)
		}
		s.left -= n
		s.skip(n)
		if s.left == 0 {
			s.inRecord = false
			s.report(committed)
		}
		return n > 0
	case s.at%walAlignment != 0:
		n := walAlignment - int(s.at%walAlignment)
		return len(s.pending) >= n && s.skip(n)
	case len(s.pending) < walAlignment:
		return false
	}
	length := int(binary.LittleEndian.Uint32(s.pending))
	if length == 0 { // the rest of a segment that was left early
		return s.skip(walAlignment)
	}
	s.inRecord, s.left, s.head = true, length, s.head[:0]
	return true
}

func (s *walScanner) page() bool {
	if len(s.pending) < pageHead {
		return false
	}
	n := pageHead
	if binary.LittleEndian.Uint16(s.pending[2:])&longPageFlag != 0 {
		n = longPageHead
	}
	if len(s.pending) < n {
		return false
	}
	if goesOn := int(binary.LittleEndian.Uint32(s.pending[16:])); goesOn > 0 && !s.inRecord {
		s.inRecord, s.left = true, goesOn // of a record that began before the stream
		s.head = append(s.head[:0], make([]byte, walRecordHead)...)
	}
	return s.skip(n)
}

func (s *walScanner) skip(n int) bool {
	s.pending = s.pending[n:]
	s.at += uint64(n)
	return true
}

func (s *walScanner) report(committed func(xid uint32)) {
	if len(s.head) < walRecordHead {
		return
	}
	xid, info, manager := binary.LittleEndian.Uint32(s.head[4:]), s.head[16], s.head[17]
	if manager == transactionManager && info&recordKind == commitRecord && xid != 0 {
		committed(xid)
	}
}
