package memory_test

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// work returns the time of a processor that f takes, whatever else the machine does
// meanwhile.
func work(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		const ofThread = 3 // CLOCK_THREAD_CPUTIME_ID
		var t syscall.Timespec
		if _, _, fault := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, ofThread, uintptr(unsafe.Pointer(&t)), 0); fault != 0 {
			panic(fault)
		}
		return time.Duration(t.Nano())
	}
	before := used()
	f()
	return used() - before
}
