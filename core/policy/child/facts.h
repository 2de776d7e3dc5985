/* The fields that facts may have. A field that is absent is nil; one that is not in this table and not there is an
 * error that names the nearest. "*": any name; "[]": the elements of a list. lua/types/perry.d.lua says the same for
 * editors, and a test compares them. */
#ifndef PERRY_POLICY_FACTS_H
#define PERRY_POLICY_FACTS_H

/* clang-format off */
#define POLICY_FACTS(X) \
	X("ws.name") X("ws.labels") X("ws.labels.*") X("ws.created") X("ws.owner") X("ws.repo") \
	X("ws.repo.url") X("ws.repo.host") X("ws.repo.owner") X("ws.repo.name") X("ws.branch") \
	X("ws.request") X("ws.request.image") X("ws.request.cpus") X("ws.request.memory") \
	X("ws.request.docker") X("ws.request.env") X("ws.request.env.*") X("ws.request.clone") \
	X("ws.request.branch") X("ws.request.depth") X("ws.request.labels") X("ws.request.labels.*") X("ws.reason") X("ws.user") \
	X("ws.user.kind") X("ws.user.login") X("ws.user.tags") X("ws.user.node_id") X("ws.user.address") \
	X("ws.state") X("ws.tailnet") X("ws.tailnet.hostname") X("ws.tailnet.dns_name") X("ws.tailnet.ip") \
	X("ws.tailnet.node_id") X("ws.tailnet.ephemeral") X("ws.tailnet.online") X("ws.tailnet.state") \
	X("ws.agent") X("ws.agent.hostname") X("ws.agent.os") X("ws.agent.arch") X("ws.agent.cpus") \
	X("ws.agent.memory") X("ws.agent.tailnet") X("ws.agent.id") X("ws.agent.version") \
	X("ws.agent.workspaces") X("ws.agent.owned") X("ws.agent.disk") X("ws.agent.engine") X("ws.agent.engine.version") \
	X("ws.agent.engine.runtimes") X("ws.agent.engine.userns") X("ws.agent.engine.cgroup") X("ws.agent.engine.tun") X("ws.action") \
	X("ws.local_image") X("plan.image") X("plan.joins") X("plan.key") X("plan.hostname") X("plan.tailscale_up") \
	X("plan.tailscale_up.accept_dns") X("plan.tailscale_up.accept_routes") X("plan.tailscale_up.ssh") \
	X("plan.tailscale_up.login_server") X("plan.tailscale_up.userspace") X("plan.env") \
	X("plan.env.*") X("plan.container") X("plan.container.cpus") X("plan.container.memory") \
	X("plan.container.shm") X("plan.container.pids") X("plan.container.privileged") \
	X("plan.container.runtime") X("plan.container.network") X("plan.container.capabilities") \
	X("plan.container.devices") X("plan.container.devices[].host") \
	X("plan.container.devices[].container") X("plan.container.devices[].permissions") \
	X("plan.container.mounts") X("plan.container.mounts[].type") X("plan.container.mounts[].source") \
	X("plan.container.mounts[].target") X("plan.container.mounts[].readonly") X("plan.container.labels") \
	X("plan.container.labels.*") X("plan.container.security") X("plan.container.sysctls") \
	X("plan.container.sysctls.*") X("plan.container.hosts") X("plan.container.dns") \
	X("plan.container.gpus") X("plan.container.docker") X("ev.kind") X("ev.at") X("ev.user") \
	X("ev.user.kind") X("ev.user.login") X("ev.user.tags") X("ev.operation") X("ev.error") \
	X("ev.hostname") X("ev.wanted") X("ev.device") X("ev.device.node_id") X("ev.device.ours") \
	X("ev.device.online") X("ev.device.kept") X("ev.step") X("ev.duration") X("port.number") \
	X("port.process") X("port.address") X("port.loopback") \
	X("activity.since") X("activity.kind") X("activity.idle_seconds") X("activity.known") \
	X("activity.quiet") X("activity.quiet.started") X("activity.quiet.operation") \
	X("activity.quiet.terminal") X("activity.quiet.exec") X("activity.quiet.stream") \
	X("activity.quiet.used") X("activity.quiet.typed") X("activity.quiet.ssh") \
	X("activity.quiet.connection") X("activity.quiet.tailnet") X("activity.quiet.network") \
	X("activity.quiet.cpu") X("activity.quiet.disk") X("activity.quiet.agent") X("activity.quiet.build") \
	X("activity.quiet.unknown") X("activity.span") X("activity.cpu") X("activity.disk") \
	X("activity.network") X("activity.tailnet") X("activity.terminals") X("activity.execs") \
	X("activity.sessions") X("activity.busySessions") X("activity.streams") X("activity.ssh") X("activity.connections") X("activity.connections[].port") \
	X("activity.connections[].count") X("activity.agents") X("activity.builds") \
	X("activity.builds[].name") X("activity.builds[].seconds") X("activity.processes") X("activity.typed") \
	X("activity.printed") X("activity.ttl") X("activity.ttl.seconds") X("activity.ttl.left") X("req.kind") X("req.caller") X("req.caller.kind") X("req.caller.login") \
	X("req.caller.tags") X("req.caller.node_id") X("req.caller.address") X("req.caller.approved") \
	X("req.caller.workspace") X("req.caller.own") X("req.caller.unproven") \
	X("req.node") X("req.node.login") X("req.node.tagged")
/* clang-format on */

#endif
