package child

import (
	"runtime"
	"sync"
)

// forker hands functions to the one thread that makes children. The parent-death signal comes when the *thread* that made
// the child ends, not the program (prctl(2), PR_SET_PDEATHSIG), and Go ends threads as it likes: so the goroutine keeps a
// thread for itself and stays as long as the program does.
var forker = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		keepInherited()
		for f := range work {
			f()
		}
	}()
	return work
})

// onForker runs f on the thread that makes children, and waits for it.
func onForker(f func()) {
	done := make(chan struct{})
	forker() <- func() {
		defer close(done)
		f()
	}
	<-done
}
