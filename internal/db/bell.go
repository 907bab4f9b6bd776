package db

import "sync"

// bells wake waiters in this process when something was committed.
type bells struct {
	mu sync.Mutex
	by map[string]chan struct{}
}

func (b *bells) of(name string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.by == nil {
		b.by = map[string]chan struct{}{}
	}
	if b.by[name] == nil {
		b.by[name] = make(chan struct{}, 1)
	}
	return b.by[name]
}

// Ring wakes one waiter of Bell(name), now or when next it waits.
func (d *DB) Ring(name string) {
	select {
	case d.bells.of(name) <- struct{}{}:
	default: // it rings already
	}
}

// Bell receives after Ring, and after the commit of a transaction with Ring.
// It hears this process only: who must hear other replicas looks by itself too.
func (d *DB) Bell(name string) <-chan struct{} { return d.bells.of(name) }

// Ring rings a bell once the transaction is durable.
func (t *Tx) Ring(name string) {
	t.AfterCommit(func() { t.db.Ring(name) })
}
