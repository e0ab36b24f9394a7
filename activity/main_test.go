package activity_test

import (
	"testing"

	"github.com/ostiary/auth/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
