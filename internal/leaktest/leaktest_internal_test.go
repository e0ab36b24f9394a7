package leaktest

import (
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

func TestLeft(t *testing.T) {
	known := goroutines()
	if stacks := left(known, 0); len(stacks) > 0 {
		t.Fatalf("nothing was started, left is %q", stacks)
	}
	end := make(chan struct{})
	for range 2 {
		go func() { <-end }()
	}
	stacks := left(known, 0)
	if len(stacks) != 2 {
		t.Errorf("two were started, left are %d", len(stacks))
	}
	for _, stack := range stacks {
		if !strings.Contains(stack, "leaktest.TestLeft") {
			t.Errorf("another one is left:\n%s", stack)
		}
	}
	time.AfterFunc(50*time.Millisecond, func() { close(end) })
	if stacks := left(known, patience); len(stacks) > 0 {
		t.Errorf("all have ended, left is %q", stacks)
	}
}

func TestStarted(t *testing.T) {
	done := make(chan struct{})
	for want := range 3 {
		least := 100
		for range 3 {
			least = min(least, Started(func() {
				for range want {
					go func() { done <- struct{}{} }()
					<-done
				}
			}))
		}
		if least != want {
			t.Errorf("%d were started, counted are %d", want, least)
		}
	}
}
