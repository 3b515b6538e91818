// Package pull fetches streams from cameras and encoders: it keeps the list of sources, starts each one always or when a
// viewer asks, and tries again with back-off. The protocols are Pullers, which bring what they fetch to the door like any
// publisher.
package pull
