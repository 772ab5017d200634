package inventory

// rowSpace holds the rows of stock of one batch after another: a row for most events, too many to be made anew each
// time.
type rowSpace struct {
	chunks [][]stockRow
	used   int
}

const chunkRows = 256

// row returns a row that is the batch's until reset.
func (s *rowSpace) row(k stockKey) *stockRow {
	chunk := s.used / chunkRows
	if chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]stockRow, chunkRows))
	}
	r := &s.chunks[chunk][s.used%chunkRows]
	s.used++
	*r = stockRow{key: k}
	return r
}

// keptChunks bounds what stays for the next batch, which is as large as batches are mostly.
const keptChunks = 16

// reset takes all rows back. Nothing may point to them any more.
func (s *rowSpace) reset() {
	if len(s.chunks) > keptChunks {
		s.chunks = s.chunks[:keptChunks:keptChunks]
	}
	s.used = 0
}
