// Package overlay keeps what a show has to sell: the list of cards, what each slot shows, and what was shown when.
//
// A Desk is one stream's. It takes commands from the host, writes each to its journal before it acknowledges it, and
// announces the state of the slots to the stream's Screen, which binds it to a frame.
package overlay
