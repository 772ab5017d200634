package referee

import (
	"testing"

	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
