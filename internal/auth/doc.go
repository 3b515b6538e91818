// Package auth decides who may publish which stream, by the stream keys that the operator configured, and who may run its
// cards, by the operator tokens. It knows neither protocols nor the shape of the configuration.
package auth
