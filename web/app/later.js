// Parts of the page that come when they are wanted: asked for again where the network was in the way.

/** @template T @param {() => Promise<T>} from @returns {Promise<T>} */
export async function later(from) {
	for (let tries = 0; ; tries++)
		try {
			return await from();
		} catch (error) {
			if (tries === 4) throw error;
			await new Promise(resolve => setTimeout(resolve, 300 * 2 ** tries));
		}
}
