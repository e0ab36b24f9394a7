package memory

// An ids finds tokens or sessions by ID. IDs follow each other, so that it has pages of
// refs, and a page goes with its last record.
type ids struct {
	pages map[int64]*[pageSize]ref
	n     int
}

const pageSize = 64

func newIDs() ids { return ids{pages: make(map[int64]*[pageSize]ref)} }

func (x *ids) find(id int64) ref {
	if page := x.pages[id/pageSize]; page != nil && id > 0 {
		return page[id%pageSize]
	}
	return 0
}

func (x *ids) add(id int64, r ref) {
	page := x.pages[id/pageSize]
	if page == nil {
		page = new([pageSize]ref)
		x.pages[id/pageSize] = page
	}
	page[id%pageSize] = r
	x.n++
}

func (x *ids) remove(id int64) {
	page := x.pages[id/pageSize]
	page[id%pageSize] = 0
	x.n--
	if *page == [pageSize]ref{} {
		delete(x.pages, id/pageSize)
	}
}
