local key, at, member, limit = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local before = redis.call('ZCOUNT', key, '-inf', '(' .. at)
-- Of those at that very instant, how many are not after the member: they are in order of their bytes.
local low, high = 0, redis.call('ZCOUNT', key, at, at)
local rank = redis.call('ZRANK', key, member)
if rank and rank >= before and rank < before + high then
  low = rank - before + 1
else
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call('ZRANGE', key, before + middle, before + middle)[1]
    local less = false
    local length = math.min(#found, #member)
    local i = 1
    while i <= length and found:byte(i) == member:byte(i) do i = i + 1 end
    if i > length then less = #found <= #member else less = found:byte(i) < member:byte(i) end
    if less then low = middle + 1 else high = middle end
  end
end
return redis.call('ZRANGEBYSCORE', key, at, ARGV[1], 'WITHSCORES', 'LIMIT', low, limit)
