-- Asks for the addresses that stand in a file, one after the other, and looks at each answer: its status, and that the
-- name in it goes with the door that was asked for. Prints what was counted as one line of JSON; times in microseconds.
-- Arguments: the file; the number of the line to begin after; the one name that all answers must hold, or nothing
-- where a door and its name must go together.
local requests, count, at, only = {}, 0, 0, nil
local threads = {}
wrong = 0

setup = function(thread)
  table.insert(threads, thread)
end

init = function(args)
  local made = {}
  for path in io.lines(args[1]) do
    made[path] = made[path] or wrk.format("GET", path)
    count = count + 1
    requests[count] = made[path]
  end
  at = tonumber(args[2])
  only = args[3]
end

request = function()
  at = at % count + 1
  return requests[at]
end

response = function(status, headers, body)
  local right
  if only then
    right = body:find(" is " .. only, 1, true)
  else
    local door, name = body:match("/(t%d+) is (t%d+)%-")
    right = door and door == name
  end
  if status ~= 200 or not right then
    wrong = wrong + 1
  end
end

done = function(summary, latency, requests)
  local e, total = summary.errors, 0
  for _, thread in ipairs(threads) do
    total = total + thread:get("wrong")
  end
  io.write(string.format(
    '\n{"requests": %d, "duration": %d, "p50": %d, "p99": %d, "status": %d, "socket": %d, "wrong": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout, total))
end
