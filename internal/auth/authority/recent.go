package authority

import "container/list"

// recent is a table of a bounded size: what was not used for the longest time goes first. Whoever has it guards it.
type recent[K comparable, V any] struct {
	most int
	// pinned tells of values that must stay; nil is none. They are for the table's owner to bound.
	pinned func(*V) bool
	order  *list.List // of *kept, the last used first
	table  map[K]*list.Element
}

type kept[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, order: list.New(), table: map[K]*list.Element{}}
}

// get finds a value and counts that as its use; nil when it is not there.
func (r *recent[K, V]) get(key K) *V {
	e := r.table[key]
	if e == nil {
		return nil
	}
	r.order.MoveToFront(e)
	return &e.Value.(*kept[K, V]).value
}

// put sets a value and returns it.
func (r *recent[K, V]) put(key K, value V) *V {
	if v := r.get(key); v != nil {
		*v = value
		return v
	}
	k := &kept[K, V]{key: key, value: value}
	r.table[key] = r.order.PushFront(k)
	if r.order.Len() > r.most {
		r.evict()
	}
	return &k.value
}

// mostPinned is how many pinned values evict looks at before it lets the table grow by one.
const mostPinned = 16

func (r *recent[K, V]) evict() {
	for range mostPinned {
		last := r.order.Back()
		k := last.Value.(*kept[K, V])
		if r.pinned == nil || !r.pinned(&k.value) {
			r.order.Remove(last)
			delete(r.table, k.key)
			return
		}
		r.order.MoveToFront(last)
	}
}

// drop takes a value out.
func (r *recent[K, V]) drop(key K) {
	if e := r.table[key]; e != nil {
		r.order.Remove(e)
		delete(r.table, key)
	}
}

func (r *recent[K, V]) len() int { return r.order.Len() }
