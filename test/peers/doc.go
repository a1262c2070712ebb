// Package peers tests wxrelay against software that others wrote: WeChat
// Pay's own SDK on both ends of the sandbox, the official library of Standard
// Webhooks as the receiver of notifications, and libraries with which sites
// log their users in. It is a module of its own so that nothing of them
// reaches the product's go.mod.
package peers
