package main

import (
	"os"
	"testing"
)

// mainVariable makes the test binary be the server: the tests start
// themselves again with it, so that what they test is this package's main and
// needs no build of its own.
const mainVariable = "WXRELAY_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}
