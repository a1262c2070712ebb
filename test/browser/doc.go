// Package browser tests the pages of wxrelay in a real Chromium. It is a
// module of its own so that nothing of it reaches the product's go.mod.
//
// The tests are skipped where no Chromium is found. WXRELAY_CHROMIUM names
// another one; WXRELAY_SHOTS names a directory that keeps the screenshots.
package browser
